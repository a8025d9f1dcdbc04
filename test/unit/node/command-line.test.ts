/** What commands of several words take, and what they say of anything else. */
import { main as dev, faucet } from '../../../devnet/launcher/index.ts'
import { doctor as doctorOfMember } from '../../../governance/doctor.ts'
import { main as governance } from '../../../governance/index.ts'
import { PROGRAM as recover } from '../../../governance/recover/index.ts'
import { main as signer } from '../../../governance/remote/index.ts'
import {
  type Flags,
  helpOf,
  type Program,
  Refusal,
  runCommand,
} from '../../../node/adapters/command-line/index.ts'
import { main as books } from '../../../node/books/index.ts'
import { readDataOptions } from '../../../node/config/index.ts'
import { main as doctor } from '../../../node/doctor/index.ts'
import { main as genesis } from '../../../node/genesis/index.ts'
import { PROGRAM as handover } from '../../../node/handover/index.ts'
import { main as inspect } from '../../../node/inspect/index.ts'
import { main as keys } from '../../../node/keys/index.ts'
import { PROGRAM as order } from '../../../node/orders/index.ts'
import { PROGRAM as validators } from '../../../node/validators/index.ts'
import { heard } from './heard.ts'

const PROGRAMS = { handover, order, recover, validators } as unknown as Readonly<
  Record<string, Program<Flags>>
>
const programs = Object.values(PROGRAMS).map((program) => [program.name, program] as const)
const commands = programs.flatMap(([name, program]) => {
  return Object.entries(program.commands).map(([word, command]) => {
    const takes = [...command.form.matchAll(/--([a-z-]+)/g)].map(([, flag]) => flag as string)
    return [`${name} ${word}`, { program, words: word.split(' '), takes }] as const
  })
})

const run = (program: Program<Flags>, args: readonly string[]) =>
  heard(() => runCommand(program, args))

describe.each(programs)('the table of millrace %s', (_, program) => {
  it('has every option that a command shows, and shows every option that it has', () => {
    const shown = new Set(commands.flatMap(([, one]) => (one.program === program ? one.takes : [])))
    const common = Object.keys(program.flags).filter((name) => ['help', 'json'].includes(name))
    expect([...shown, ...common].sort()).toEqual(Object.keys(program.flags).sort())
  })

  it('is told by --help wherever it stands, within 110 columns', async () => {
    const help = helpOf(program)
    expect(help.split('\n').filter((line) => line.length > 110)).toEqual([])
    const [word = ''] = Object.keys(program.commands)
    expect(await run(program, ['--help'])).toEqual({ code: 0, out: help, error: '' })
    expect(await run(program, [word, '--nonsense', '--help'])).toMatchObject({ code: 0, out: help })
    expect(await run(program, [])).toEqual({ code: 2, out: '', error: help })
  })

  it('says what it takes for a command that there is not', async () => {
    const [word = ''] = Object.keys(program.commands)
    const misspelt = await run(program, [`${word}x`])
    expect(misspelt).toEqual({
      code: 2,
      out: '',
      error: `millrace ${program.name}: Usage: unknown command ${word}x; did you mean ${word}?\n`,
    })
    const none = await run(program, ['--url', 'x'])
    expect([none.code, none.error]).toEqual([2, expect.stringContaining(`there are ${word},`)])
  })
})

describe.each(commands)('millrace %s', (name, { program, takes, words }) => {
  const usage = async (...args: readonly string[]) => {
    const { code, error } = await run(program, [...words, ...args])
    expect(code).toBe(2)
    expect(error).toMatch(new RegExp(`^millrace ${name}: Usage: [^\n]+\n$`))
    return error
  }

  it('refuses an option that nobody knows, and says which was meant', async () => {
    expect(await usage('--frobnicate', '7')).toContain('unknown option --frobnicate; millrace')
    const own = takes.find((flag) => flag.length > 3)
    if (own === undefined) return
    expect(await usage(`--${own}z`, '7')).toContain(`unknown option --${own}z; did you mean`)
  })

  it('refuses an option of another command, rather than leave it unheard', async () => {
    const others = Object.keys(program.flags).filter((flag) => {
      return !takes.includes(flag) && !['help', 'json'].includes(flag)
    })
    for (const flag of others) {
      expect(await usage(`--${flag}`, '7')).toContain(`--${flag} is of another command`)
    }
  })

  it('refuses an option without its value, one that stands twice, and an argument', async () => {
    for (const flag of takes) {
      const { isMany, value } = program.flags[flag] as Flags[string]
      if (value === undefined) {
        expect(await usage(`--${flag}=yes`)).toContain(`--${flag} takes no value`)
        continue
      }
      expect(await usage(`--${flag}`)).toContain(`--${flag} needs a value, ${value}`)
      expect(await usage(`--${flag}`, '--')).toContain('needs a value')
      if (isMany === true) continue
      expect(await usage(`--${flag}`, '1', `--${flag}=2`)).toContain(`--${flag} stands twice`)
    }
    const [flag] = takes.filter((one) => program.flags[one]?.value !== undefined)
    expect(await usage(`--${flag}`, '1', 'more')).toContain('unexpected argument more')
  })
})

describe('a command', () => {
  const flags = {
    name: { value: 'NAME', about: 'of it' },
    part: { value: 'N', about: 'of it', isMany: true },
    loud: { about: 'not silent' },
    json: { about: 'one line' },
    help: { about: 'this text' },
  } as const satisfies Flags
  const program: Program<typeof flags> = {
    name: 'sing',
    flags,
    commands: {
      'a song': {
        form: '[--name NAME] [--part N...] [--loud]',
        about: 'sings',
        run: async (figures) => {
          if (figures.name === 'broken') throw new Error('the string broke')
          if (figures.name === 'none') throw new Refusal('NoSong', 'there is none', 4)
          return { text: 'la\n', figures }
        },
      },
    },
  }
  const sing = (...args: readonly string[]) =>
    run(program as unknown as Program<Flags>, ['a', 'song', ...args])

  it('gets its options, each once or as often as it may stand', async () => {
    expect(await sing()).toEqual({ code: 0, out: 'la\n', error: '' })
    const { out } = await sing('--part', '1', '--json', '--name=a=b', '--part=2', '--loud')
    expect(JSON.parse(out)).toEqual({ part: ['1', '2'], json: true, name: 'a=b', loud: true })
  })

  it('ends with the code of what it refuses, for people or as JSON; with 1 when it failed', async () => {
    const error = 'millrace sing a song: NoSong: there is none\n'
    expect(await sing('--name', 'none')).toEqual({ code: 4, out: '', error })
    const { code, out } = await sing('--name', 'none', '--json')
    expect([code, JSON.parse(out)]).toEqual([
      4,
      { error: { code: 'NoSong', message: 'there is none' } },
    ])
    expect(await sing('--name', 'broken')).toMatchObject({
      code: 1,
      error: 'millrace sing a song: Failed: the string broke\n',
    })
  })
})

describe('every other program', () => {
  it.each([
    ['governance', governance],
    ['signer', signer],
    ['doctor', (args: readonly string[]) => doctorOfMember(['--member', 'x', ...args])],
    ['doctor', doctor],
    ['books', books],
    ['keys', keys],
    ['genesis', genesis],
    ['inspect', inspect],
    ['dev', dev],
  ])(
    'millrace %s ends with 2 for an option that it does not know, and says only that',
    async (name, main) => {
      const { code, error, out } = await heard(() => main(['--frobnicate']))
      const [line = ''] = error.split('\n')
      expect([code, out, line]).toEqual([2, '', `millrace ${name}: unknown option --frobnicate`])
    },
  )

  it('millrace faucet tells its use', async () => {
    expect(await heard(() => faucet(['--help']))).toMatchObject({
      code: 0,
      out: expect.stringMatching('^usage: millrace faucet ADDRESS'),
    })
    expect(await heard(() => faucet(['--frobnicate']))).toMatchObject({ code: 2, out: '' })
  })

  it('who only reads a node’s data names that and the genesis file, and nothing else of a node', () => {
    const hash = 'ab'.repeat(32)
    const named = ['--data-dir', '/d', '--genesis-file', '/g.json']
    const read = readDataOptions([...named, '--trusted-block', `7:0x${hash}`], 'books')
    expect(read).toEqual({
      data: {
        dataDir: '/d',
        genesisFile: '/g.json',
        trustedBlock: { height: 7, hash: Uint8Array.from(Buffer.from(hash, 'hex')) },
      },
    })
    expect(readDataOptions(['--data-dir', '/d'], 'books')).toMatchObject({
      exitCode: 3,
      text: expect.stringMatching(
        /^millrace books: genesisFile is not set: [^\n]*\nmillrace node --help/,
      ),
    })
    for (const wrong of ['7', `7:${hash}ff`, `-7:${hash}`, `x:${hash}`]) {
      const refused = readDataOptions([...named, '--trusted-block', wrong], 'books')
      expect(refused).toMatchObject({ exitCode: 3, text: expect.stringMatching('HEIGHT:HASH') })
    }
  })
})
