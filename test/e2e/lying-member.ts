/**
 * A governance node that gives wrong parts of signatures, under its own word that they are its parts: `node test/e2e/lying-member.ts
 * --config FILE`. The program is the member's own, with one line of one module replaced while it is loaded.
 */
import { registerHooks } from 'node:module'
import { planted } from '../sim/mutants/mutant.ts'

const LIE = {
  name: 'lying-member',
  room: 'peg',
  file: 'core/signing/session.ts',
  find: '  return sealParts(task, member, list, parts, random)\n',
  replace:
    '  return sealParts(task, member, list, parts.map((part) => Uint8Array.from(part, (byte) => byte ^ 1)), random)\n',
  breaks: 'protocol 5.5',
  says: 'All parts are wrong.',
} as const

const target = new URL(`../../${LIE.file}`, import.meta.url).href

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    if (url !== target) return loaded
    return { ...loaded, source: planted(LIE, LIE.file, String(loaded.source)) }
  },
})

const { main } = await import('../../governance/index.ts')
// Whoever started it holds its standard input open.
process.stdin.once('end', () => process.exit(1)).resume()
process.exit(await main(process.argv.slice(2)))
