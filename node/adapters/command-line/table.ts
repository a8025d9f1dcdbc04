/** From a table of commands to help, options, errors and exit codes. */
import { EXIT } from '../system/index.ts'
import { nearest } from './nearest.ts'
import { Refusal, usage } from './refusal.ts'

/** An option of a program's commands. */
interface Flag {
  /** What the help shows for its value; a switch has none. */
  readonly value?: string
  readonly about: string
  /** It may be given again. */
  readonly isMany?: true
}

/** By name, without the dashes. */
export type Flags = Readonly<Record<string, Flag>>

type ValueOf<F extends Flag> = F extends { readonly isMany: true }
  ? readonly string[]
  : F extends { readonly value: string }
    ? string
    : boolean

export type OptionsOf<F extends Flags> = { readonly [K in keyof F]?: ValueOf<F[K]> | undefined }

/** What a command says: lines for people, and figures where the program has --json. */
export type Said = string | { readonly text: string; readonly figures: object }

export interface Command<F extends Flags> {
  /** Its options as the help shows them: it takes these, --help and --json, and no others. */
  readonly form: string
  readonly about: string
  readonly run: (options: OptionsOf<F>) => Promise<Said>
}

export interface Program<F extends Flags> {
  /** What stands after `millrace`. */
  readonly name: string
  /** What all commands have in common. */
  readonly about?: string
  /** By name, which may be of several words. */
  readonly commands: Readonly<Record<string, Command<F>>>
  readonly flags: F
}

const WIDTH = 110
const COLUMN = 26
/** Of every command, where the program has them. */
const COMMON: readonly string[] = ['help', 'json']

/** Runs the command that is named, prints what it gives or why it refuses. The exit code. */
export async function runCommand<F extends Flags>(
  program: Program<F>,
  args: readonly string[],
): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(helpOf(program))
    return EXIT.ok
  }
  if (args.length === 0) {
    process.stderr.write(helpOf(program))
    return EXIT.usage
  }
  const isJson = 'json' in program.flags && args.includes('--json')
  let called = program.name
  try {
    const { command, flagsAt, name } = commandOf(program, args)
    called = `${program.name} ${name}`
    const said = await command.run(optionsOf(program, command, args.slice(flagsAt)))
    const { figures, text } = typeof said === 'string' ? { text: `${said}\n`, figures: {} } : said
    process.stdout.write(isJson ? `${JSON.stringify(figures)}\n` : text)
    return EXIT.ok
  } catch (error) {
    const { message } = error as Error
    const { code, exitCode } =
      error instanceof Refusal ? error : { code: 'Failed', exitCode: EXIT.error }
    if (isJson) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`)
    else process.stderr.write(`millrace ${called}: ${code}: ${message}\n`)
    return exitCode
  }
}

interface Called<F extends Flags> {
  readonly name: string
  readonly command: Command<F>
  /** Where its options begin. */
  readonly flagsAt: number
}

/** The command that the first words name. */
function commandOf<F extends Flags>(program: Program<F>, args: readonly string[]): Called<F> {
  const end = args.findIndex((argument) => argument.startsWith('-'))
  const flagsAt = end < 0 ? args.length : end
  const name = args.slice(0, flagsAt).join(' ')
  const command = Object.hasOwn(program.commands, name) ? program.commands[name] : undefined
  if (command !== undefined) return { name, command, flagsAt }
  const names = Object.keys(program.commands)
  const meant = nearest(name, names)
  const hint = meant === undefined ? `there are ${names.join(', ')}` : `did you mean ${meant}?`
  if (name === '') throw usage(`which command? ${hint}`)
  throw usage(`unknown command ${name}; ${hint}`)
}

/** `--name value`, `--name=value`, and switches. */
function optionsOf<F extends Flags>(
  { flags, name: program }: Program<F>,
  command: Command<F>,
  args: readonly string[],
): OptionsOf<F> {
  const taken = takenBy(command).concat(COMMON)
  const options = new Map<string, string | boolean | string[]>()
  for (let at = 0; at < args.length; at++) {
    const argument = args[at] as string
    const [, name = '', inline] = /^--([^=]+)(?:=(.*))?$/s.exec(argument) ?? []
    if (name === '') throw usage(`unexpected argument ${argument}`)
    const flag = taken.includes(name) && Object.hasOwn(flags, name) ? flags[name] : undefined
    if (flag === undefined) throw usage(notTaken(flags, taken, name, program))
    const isAgain = options.has(name)
    if (isAgain && flag.isMany !== true) throw usage(`--${name} stands twice`)
    if (flag.value === undefined) {
      if (inline !== undefined) throw usage(`--${name} takes no value`)
      options.set(name, true)
      continue
    }
    const next = args[at + 1]
    const value = inline ?? (next?.startsWith('--') === true ? undefined : next)
    if (value === undefined) throw usage(`--${name} needs a value, ${flag.value}`)
    if (inline === undefined) at += 1
    const before = (options.get(name) ?? []) as string[]
    options.set(name, flag.isMany === true ? [...before, value] : value)
  }
  return Object.fromEntries(options) as OptionsOf<F>
}

function takenBy({ form }: Pick<Command<Flags>, 'form'>): string[] {
  return [...form.matchAll(/--([a-z][a-z-]*)/g)].map(([, name]) => name as string)
}

function notTaken(flags: Flags, taken: readonly string[], name: string, program: string): string {
  const tell = `millrace ${program} --help tells what it takes`
  if (Object.hasOwn(flags, name)) return `--${name} is of another command; ${tell}`
  const meant = nearest(name, taken)
  return `unknown option --${name}; ${meant === undefined ? tell : `did you mean --${meant}?`}`
}

/** What --help prints. */
export function helpOf<F extends Flags>({ about, commands, flags, name }: Program<F>): string {
  const lines = Object.entries(commands).flatMap(([command, { form }], index) => {
    const start = `${index === 0 ? 'usage:' : '      '} millrace ${name} ${command}`
    return wrapped([start, ...form.split(/ (?=--|\[|\(|\|)/)], WIDTH, ' '.repeat(11))
  })
  const listed = (title: string, text: string) => {
    const rows = wrapped(text.split(' '), WIDTH - COLUMN, '')
    const [first = '', ...rest] = rows
    const isWide = title.length > COLUMN - 4
    const head = isWide
      ? [`  ${title}`, ' '.repeat(COLUMN) + first]
      : [`  ${title}`.padEnd(COLUMN) + first]
    return [...head, ...rest.map((row) => ' '.repeat(COLUMN) + row)]
  }
  const told = Object.entries(commands).flatMap(([command, one]) => listed(command, one.about))
  const options = Object.entries(flags).flatMap(([flag, { about: text, isMany, value }]) => {
    const again = isMany === true ? '...' : ''
    return listed(`--${flag}${value === undefined ? '' : ` ${value}${again}`}`, text)
  })
  const first =
    about === undefined
      ? []
      : ['', ...wrapped(about.split(' '), WIDTH - 2, '').map((row) => `  ${row}`)]
  return `${[...lines, ...first, '', ...told, '', ...options].join('\n')}\n`
}

/** Words in lines of at most so many characters, the later ones behind `indent`. */
function wrapped(words: readonly string[], width: number, indent: string): string[] {
  const lines: string[] = []
  for (const word of words) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines.push(`${lines.pop()} ${word}`)
    else lines.push(last === undefined ? word : indent + word)
  }
  return lines
}
