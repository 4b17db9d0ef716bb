// blocks.mjs: the examples in documentation as Gleam modules, so that the test run compiles and runs what a reader copies.
// A block of statements is the body of a main; one with a function in it is a module, and its main, if it has one, is run.
//
//   <!-- alone -->               above a block: runs in a fresh VM, distributed, without a companion
//   <!-- compile only: why -->   is not run
//   nothing                      runs in the VM of the tests, beside its companion and the node other@127.0.0.1

// [{ name: 'doc/remora_codec_1', kind, where, text }] of a module's doc comments or of a Markdown file.
export function blocks({ name, file, text }) {
  const lines = text.split('\n')
  const doc = file.endsWith('.md') ? lines : lines.map((line) => line.match(/^\s*\/\/\/\/? ?(.*)$/)?.[1])
  const found = []
  let mark = 'shared'
  for (let i = 0; i < doc.length; i++) {
    const comment = doc[i]?.match(/^<!-- (alone|compile only: .+) -->$/)
    if (comment) mark = comment[1].split(':')[0]
    if (doc[i] !== '```gleam') continue
    const from = i + 1
    while (doc[++i] !== '```') if (i >= doc.length) throw new Error(`${file}:${from}: the block does not end`)
    const body = doc.slice(from, i).map((line) => line ?? '')
    const id = `doc/${name.replaceAll('/', '_')}_${found.length + 1}`
    const text = module(body)
    const kind = text.includes('pub fn main()') ? mark : 'compile only'
    found.push({ name: id, file: `${file}:${from + 1}`, where: `${file}:${from + 1}`, kind, text })
    mark = 'shared'
  }
  return found
}

function module(lines) {
  if (lines.some((line) => /^(pub |fn |type |const )/.test(line))) return lines.join('\n') + '\n'
  const isImport = (line) => line.startsWith('import ')
  const body = lines.filter((line) => !isImport(line)).map((line) => (line ? '  ' + line : line))
  return [...lines.filter(isImport), 'pub fn main() {', ...body, '  Nil', '}', ''].join('\n')
}
