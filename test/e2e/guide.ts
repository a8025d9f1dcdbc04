/** The commands of a guide beside those that a test ran: a guide that nobody follows goes wrong unnoticed. */
import { readFileSync } from 'node:fs'

/** Somebody at a terminal answers the question, and has the node at its usual place. */
const LEFT_OUT: ReadonlySet<string> = new Set(['--yes', '--url'])

/** Of the guide's shell blocks, a line each, without `node bin/millrace.cjs` and without where the output goes. */
export function guideCommands(name: string): readonly string[] {
  const text = readFileSync(new URL(`../../docs/guides/${name}.md`, import.meta.url), 'utf8')
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)]
    .flatMap(([, block = '']) => block.replaceAll(/ \\\n\s*/g, ' ').split('\n'))
    .flatMap((line) => {
      const [, command] = /^node bin\/millrace\.cjs (.*?)(?: > .*)?$/.exec(line.trim()) ?? []
      return command === undefined ? [] : [command]
    })
}

/** Those that no command is like. What is in capitals, and any URL, stands for anything; a file may be in another folder. */
export function notFollowed(written: readonly string[], ran: readonly string[]): readonly string[] {
  return written.filter((command) => !ran.some((typed) => isLike(command, typed)))
}

function isLike(written: string, ran: string): boolean {
  const wanted = pairs(written)
  const flags = wanted.map(flagOf)
  const have = pairs(ran).filter((pair) => {
    return flags.includes(flagOf(pair)) || !LEFT_OUT.has(flagOf(pair))
  })
  return wanted.length === have.length && wanted.every((pair, at) => isSame(pair, have[at] ?? ''))
}

function isSame(pair: string, other: string): boolean {
  const [flag = '', value = ''] = pair.split(' ')
  const isAny = flag.startsWith('--') && /^([A-Z:]+$|http:)/.test(value)
  if (other === pair) return true
  return other.startsWith(`${flag} `) && (isAny || (value !== '' && other.endsWith(`/${value}`)))
}

/** The command's words, then each flag with its value; those of one flag as they came. */
function pairs(command: string): readonly string[] {
  const [words = '', ...flags] = command.split(/ (?=--)/)
  return [words, ...flags.sort((one, other) => flagOf(one).localeCompare(flagOf(other)))]
}

const flagOf = (pair: string) => pair.split(' ', 1)[0] as string
