// externals.mjs: what a module's @external lines promise: [{ module, function, arity, where }]. The compiler believes them,
// and a wrong one fails when it is called; so the test run asks the Erlang modules.
import { code, lineOf } from './source.mjs'

export function externals({ file, text }) {
  const plain = code(text)
  return [...plain.matchAll(/^@external\(/gm)].map((m) => {
    const line = text.slice(m.index, text.indexOf('\n', m.index))
    const target = line.match(/^@external\(erlang, "([^"]+)", "([^"]+)"\)$/)
    const where = `${file}:${lineOf(text, m.index)}`
    if (!target) throw new Error(`${where}: one line, @external(erlang, "module", "function")`)
    const open = plain.indexOf('(', plain.indexOf('fn ', m.index))
    return { module: target[1], function: target[2], arity: parameters(plain, open), where }
  })
}

// How many there are between the parenthesis at `open` and its end; a trailing comma is none.
function parameters(plain, open) {
  let depth = 0
  let count = 0
  let some = false
  for (let i = open; i < plain.length; i++) {
    const c = plain[i]
    if ('([{'.includes(c)) depth++
    else if (')]}'.includes(c)) {
      if (--depth === 0) return some ? count + 1 : count
    } else if (c === ',' && depth === 1) count++, (some = false)
    else if (/\S/.test(c)) some = true
  }
  throw new Error('parameters without an end')
}
