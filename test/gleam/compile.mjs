// compile.mjs COMPILER OUT: Gleam's own compiler over the package in erl/, its examples, its tests here and the examples in
// its documentation. Leaves in OUT
//   erl/             the Erlang that the compiler made
//   externals.term   [{Module, Function, Arity, Where}.] of the package's @external lines
//   blocks.term      [{Module, shared | alone, Where}.] of the documentation's examples that are run
// and ends with 1 when it, or rules.mjs, found something.
//
// Everything is compiled as one package, beside stand-ins for those that a package manager would bring; the package alone and each
// example with it are compiled first, so that nothing leans on what its users do not have.
import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { modules, forOldCompiler } from './source.mjs'
import { blocks } from './blocks.mjs'
import { externals } from './externals.mjs'
import { findings } from './rules.mjs'

const [compiler, out] = process.argv.slice(2)
const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname)
const root = path.join(here, '../..')
process.chdir(root)

const standins = modules('test/gleam/standins')
const remora = modules('erl/src')
const tests = modules('test/gleam/test')
const examples = (fs.existsSync('erl/examples') ? fs.readdirSync('erl/examples').sort() : [])
  .map((name) => modules(`erl/examples/${name}/src`))
  .filter((found) => found.length)
const documents = ['README.md', 'erl/README.md'].filter((file) => fs.existsSync(file))
const docs = [
  ...remora.flatMap(blocks),
  ...documents.flatMap((file) => {
    const name = file.replace(/\W/g, '_').toLowerCase()
    return blocks({ name, file, text: fs.readFileSync(file, 'utf8') })
  }),
]

const all = [...standins, ...remora, ...tests, ...examples.flat()]
const wrong = [
  ...standins.flatMap((m) => findings(m, all, false)),
  ...remora.flatMap((m) => findings(m, all, !m.name.includes('/internal/'))),
  ...[...tests, ...examples.flat(), ...docs].flatMap((m) => findings(m, all, false)),
]
if (wrong.length) {
  console.error(wrong.join('\n'))
  process.exit(1)
}

// The file says "module" in no way that Node 18 hears, so it is given the name that does.
const copy = path.join(out, 'gleam_wasm.mjs')
fs.mkdirSync(path.join(out, 'erl'), { recursive: true })
fs.copyFileSync(path.join(compiler, 'gleam_wasm.js'), copy)
const wasm = await import(pathToFileURL(path.resolve(copy)))
wasm.initSync(fs.readFileSync(path.join(compiler, 'gleam_wasm_bg.wasm')))
wasm.init(false)

compile('the package', [...standins, ...remora])
for (const example of examples) compile(path.dirname(example[0].file), [...standins, ...remora, ...example])
for (const [file, text] of compile('everything', [...all, ...docs])) {
  const name = path.basename(file)
  if (!name.includes('@@')) fs.writeFileSync(path.join(out, 'erl', name), text)
}

const quoted = (text) => `"${text.replace(/["\\]/g, '\\$&')}"`
const atom = (text) => `'${text.replaceAll('/', '@')}'`
const lines = (list) => list.map((line) => line + '.\n').join('')
fs.writeFileSync(
  path.join(out, 'externals.term'),
  lines(remora.flatMap(externals).map((e) => `{${atom(e.module)}, ${atom(e.function)}, ${e.arity}, ${quoted(e.where)}}`)),
)
const run = docs.filter((block) => block.kind !== 'compile only')
fs.writeFileSync(
  path.join(out, 'blocks.term'),
  lines(run.map((block) => `{${atom(block.name)}, ${block.kind}, ${quoted(block.where)}}`)),
)
console.log(`${remora.length} modules, ${docs.length} examples in documentation (${docs.length - run.length} not run)`)

function compile(what, sources) {
  const sourceFiles = { '/gleam.toml': 'name = "remora"\nversion = "0.1.0"\n' }
  for (const { name, text } of sources) sourceFiles[`/src/${name}.gleam`] = forOldCompiler(text)
  const { Ok, Err } = wasm.compile({ target: 'erlang', mode: 'Dev', dependencies: [], sourceFiles })
  if (Ok) return [...Ok]
  const shown = docs.reduce((text, block) => text.replaceAll(`/src/${block.name}.gleam`, block.where), Err)
  console.error(`${what} does not compile:\n${shown}`)
  process.exit(1)
}
