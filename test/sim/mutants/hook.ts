/**
 * Loaded with `--import` before anything else of a process whose environment names a mutant: replaces that mutant's place when
 * its module is loaded, before the types are stripped. A process that never loaded the module ends with an error.
 */
import { registerHooks } from 'node:module'
import { MUTANT_VARIABLE, mutantNamed } from './index.ts'
import { planted } from './mutant.ts'

const ROOT = new URL('../../../', import.meta.url)

const name = process.env[MUTANT_VARIABLE] ?? ''
const mutant = mutantNamed(name)
if (mutant === undefined) throw new Error(`no mutant is called '${name}'`)
const target = new URL(mutant.file, ROOT).href
let isPlanted = false

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    if (url !== target) return loaded
    isPlanted = true
    return { ...loaded, source: planted(mutant, String(loaded.source)) }
  },
})

process.on('exit', (code) => {
  if (isPlanted || code !== 0) return
  process.stderr.write(`mutant ${name}: ${mutant.file} was never loaded\n`)
  process.exitCode = 3
})
