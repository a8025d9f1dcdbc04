/**
 * Loaded with `--import` before anything else of a process whose environment names a mutant: replaces that mutant's place when
 * its module is loaded, before the types are stripped. A process that never loaded the module ends with an error.
 */
import { registerHooks } from 'node:module'
import { MUTANT_VARIABLE, mutantNamed } from './index.ts'
import { placesOf, planted } from './mutant.ts'

const ROOT = new URL('../../../', import.meta.url)

const name = process.env[MUTANT_VARIABLE] ?? ''
const mutant = mutantNamed(name)
if (mutant === undefined) throw new Error(`no mutant is called '${name}'`)
const targets = new Map(placesOf(mutant).map(({ file }) => [new URL(file, ROOT).href, file]))
const toPlant = new Set(targets.keys())

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    const file = targets.get(url)
    if (file === undefined) return loaded
    toPlant.delete(url)
    return { ...loaded, source: planted(mutant, file, String(loaded.source)) }
  },
})

process.on('exit', (code) => {
  if (toPlant.size === 0 || code !== 0) return
  process.stderr.write(`mutant ${name}: ${[...toPlant].join(', ')} never loaded\n`)
  process.exitCode = 3
})
