// rules.mjs: what the compiler of the tests does not say. It is older than the Gleam that the package is for and gives no
// warnings, so this asks for what current Gleam refuses or warns of, and for the rules of the package's public face.
// Each finding is a line `file:line: text`.
import { code, imports, lineOf } from './source.mjs'
import { blocks } from './blocks.mjs'

const reserved = 'auto delegate derive echo else implement macro test external'.split(' ')

// `all` is every module that an import can name; `faces` says that the module is one that users see.
export function findings(module, all, faces) {
  return [...language(module, all), ...(faces ? face(module) : [])].map(([index, text]) => {
    return `${module.file}:${lineOf(module.text, index)}: ${text}`
  })
}

function* language({ text }, all) {
  const plain = code(text)
  const known = new Map(all.map((m) => [m.name, code(m.text)]))
  const body = plain.replace(/^import\s+[a-z0-9_/]+(\.\{[^}]*\})?(\s+as\s+[a-z0-9_]+)?/gm, (m) => ' '.repeat(m.length))
  for (const { module, as, names, index } of imports(text)) {
    const source = known.get(module)
    if (source === undefined) yield [index, `${module} is neither ours nor a stand-in`]
    if (!names.length && !new RegExp(`\\b${as}\\.`).test(body)) yield [index, `the import of ${module} is not used`]
    for (const { type, name } of names) {
      const isType = new RegExp(`^pub (opaque )?type ${name}\\b`, 'm').test(source)
      if (type && !isType) yield [index, `${module} has no type ${name}`]
      if (!type && /^[A-Z]/.test(name) && !new RegExp(`^  ${name}\\b`, 'm').test(source))
        yield [index, `${name} is no constructor of ${module}; a type is imported as \`type ${name}\``]
      if (!new RegExp(`\\b${name}\\b`).test(body)) yield [index, `${name} of ${module} is not used`]
    }
  }
  for (const word of reserved)
    for (const m of plain.matchAll(new RegExp(`\\b(fn|let|use)\\s+${word}\\b|[(,]\\s*${word}:`, 'g')))
      yield [m.index, `${word} is reserved`]
  for (const m of plain.matchAll(/\bBitString\b/g)) yield [m.index, 'BitString is called BitArray']
  for (const m of plain.matchAll(/<<"[^"]*"(?!:utf8)/g)) yield [m.index, 'a string in a bit array needs :utf8']
  for (const m of plain.matchAll(/^fn ([a-z0-9_]+)/gm))
    if ([...plain.matchAll(new RegExp(`\\b${m[1]}\\b`, 'g'))].length < 2) yield [m.index, `${m[1]} is not used`]
  for (const m of text.matchAll(/^.{81,}$/gm))
    if (!/^\s*"|\/\/|@external/.test(m[0])) yield [m.index, `${m[0].length} columns; gleam format breaks at 80`]
  for (const m of text.matchAll(/[ \t]+$/gm)) yield [m.index, 'blanks at the end of the line']
}

function* face(module) {
  const { text } = module
  const plain = code(text)
  if (!text.startsWith('//// ')) yield [0, 'the module has no //// at its head']
  for (const m of plain.matchAll(/\b(panic|todo|let assert)\b/g)) yield [m.index, `${m[1]} in the package`]
  const examples = blocks(module)
    .map((block) => code(block.text))
    .join('\n')
  const short = module.name.split('/').pop()
  const lines = text.split('\n')
  for (const m of plain.matchAll(/^pub (?:opaque )?(fn|type|const) ([A-Za-z0-9_]+)/gm)) {
    let above = lineOf(text, m.index) - 2
    const attributes = []
    while (/^(@|\s+[a-z"]|\))/.test(lines[above])) attributes.push(lines[above--])
    if (attributes.includes('@internal')) continue
    if (!/^\/\/\/ ?/.test(lines[above] ?? '')) yield [m.index, `${m[2]} has no ///`]
    if (m[1] === 'fn' && !new RegExp(`\\b${short}\\.${m[2]}\\b`).test(examples))
      yield [m.index, `no example of the module uses ${short}.${m[2]}`]
  }
}
