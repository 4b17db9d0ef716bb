// source.mjs: Gleam sources as text. Finds them, blanks out what is no code, and rewrites a copy for the compiler that
// the tests can have: 0.30, the last one that npm carries. The package itself is written for Gleam 1.x.
import fs from 'node:fs'
import path from 'node:path'

// [{ name: 'remora/codec', file, text }] of every .gleam file below a folder that is there.
export function modules(folder) {
  if (!fs.existsSync(folder)) return []
  return fs
    .readdirSync(folder, { recursive: true })
    .map((name) => name.split(path.sep).join('/'))
    .filter((name) => name.endsWith('.gleam'))
    .sort()
    .map((name) => {
      const file = path.join(folder, name)
      return { name: name.replace(/\.gleam$/, ''), file, text: fs.readFileSync(file, 'utf8') }
    })
}

// The same text with blanks for comments, and for what strings hold. Lines and columns stay.
export function code(text) {
  let out = ''
  for (let i = 0; i < text.length; ) {
    if (text.startsWith('//', i)) {
      for (; i < text.length && text[i] !== '\n'; i++) out += ' '
    } else if (text[i] === '"') {
      out += text[i++]
      for (; i < text.length && text[i] !== '"'; i++) {
        if (text[i] === '\\') (out += ' '), i++
        out += text[i] === '\n' ? '\n' : ' '
      }
      out += text[i++] ?? ''
    } else out += text[i++]
  }
  return out
}

export const lineOf = (text, index) => text.slice(0, index).split('\n').length

// The imports of a module: [{ module, as, names: [{ type, name }], index }].
export function imports(text) {
  const plain = code(text)
  return [...plain.matchAll(/^import\s+([a-z0-9_/]+)(?:\.\{([^}]*)\})?(?:\s+as\s+([a-z0-9_]+))?/gm)].map((m) => ({
    module: m[1],
    as: m[3] ?? m[1].split('/').pop(),
    names: (m[2] ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean)
      .map((name) => ({ type: name.startsWith('type '), name: name.replace(/^type\s+/, '').split(/\s/)[0] })),
    index: m.index,
  }))
}

// Old Gleam: no `type` in imports, BitArray is BitString, no `label:` for `label: label`, no such attributes.
export function forOldCompiler(text) {
  const braces = /^(import\s+[a-z0-9_/]+\.\{)([^}]*)(\})/gm
  return text
    .replace(braces, (_, open, names, close) => open + names.replace(/\btype\s+/g, '') + close)
    .replace(/^@(internal|deprecated\([^)]*\))\s*$/gm, '')
    .replace(/\bBitArray\b/g, 'BitString')
    .replace(/([(,]\s*)([a-z_][a-z0-9_]*):(?=\s*[,)])/g, '$1$2: $2')
}
