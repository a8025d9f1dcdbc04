/**
 * `millrace recover drill`: everything that holders of keys may have to do by hand, done once on a federation of its own: a share is lost and
 * made again, a member is lost and the others pay on, then the federation is gone and its coins are spent by leaf A and by leaf B. Each
 * step is the command that a person would type, in a process of its own with the files of one holder.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type BitcoinRpc, createBitcoinRpc } from '../../node/adapters/bitcoin-rpc/index.ts'
import { EXIT, findPort } from '../../node/adapters/system/index.ts'
import { createFederation, type Federation, readCheckpoint } from '../federation/index.ts'
import { DevelopmentWallet, developmentKey } from '../wallet.ts'
import { developmentAccounts } from './accounts.ts'
import { launchBitcoin } from './bitcoin.ts'
import { deposit, payOut } from './journey.ts'
import { OnDemandMiner } from './miner.ts'
import { killGroup, type Supervised, startProgram, stopProcess } from './processes.ts'
import { createNodeRpc, Unreachable, until } from './rpc.ts'
import { bitcoinText, createTerminal, type Terminal } from './terminal.ts'

const USAGE = `usage: millrace recover drill [options]

  A federation of its own, with one node, four members (3 of 4) and three recovery keys (2 of 3), in about
  two minutes. Makes the members' key, takes deposits; loses a member's share and repairs it; loses a
  member for good and pays on without it; ends the federation and spends its coins by leaf A and, after the
  delay, by leaf B. Nothing leaves this machine.

  --bitcoin WHICH   embedded, bitcoind (named by BITCOIND or on PATH), or the URL of a regtest [embedded]
  --keep DIR        do it in DIR, which must not exist, and leave all files there
  --json            the story on standard error, one line of JSON at the end
  --help            this text
`

const DOOR = fileURLToPath(new URL('../../bin/millrace.cjs', import.meta.url))
const MATURE_BLOCKS = 120
const DELAY_BLOCKS = 40
const DEPOSITS_SAT = [100_000_000n, 50_000_000n, 25_000_000n]
const MEMBERS = 4
/** Its password is of no use to a reader. */
const SHOWN_BITCOIN = 'http://user:password@127.0.0.1:8332'
const START_MS = 90_000
const KEY_MS = 180_000
const FIRST_PORT = 12_000
/** Who loses what. */
const SHARELESS = 2
const HELPERS = [0, 1, 3]
const GONE = 0
const SIGNERS = [1, 2, 3]
const COLD_SIGNERS = [0, 2]

/** What the drill did, for --json. */
interface DrillResult {
  readonly shareRepaired: string
  readonly paidWithout: readonly number[]
  readonly payoutTxid: string
  readonly reserveSat: string
  readonly byMembersSat: string
  readonly byRecoverySat: string
  readonly feesSat: string
  /** As they were typed, in their order. */
  readonly commands: readonly string[]
}

/** Exit codes: 0 all was recovered, 1 not, 2 usage, 5 the named Bitcoin does not answer. */
export async function drill(args: readonly string[]): Promise<number> {
  const options = readOptions(args)
  if ('text' in options) {
    ;(options.exitCode === EXIT.ok ? process.stdout : process.stderr).write(options.text)
    return options.exitCode
  }
  const { bitcoin, isJson, keep } = options
  const directory = keep ?? mkdtempSync(join(tmpdir(), 'millrace-drill-'))
  if (keep !== undefined) mkdirSync(keep, { recursive: true, mode: 0o700 })
  const stream = isJson ? process.stderr : process.stdout
  const terminal = createTerminal(stream, Date.now(), Date.now)
  const run = new Drill(directory, terminal)
  const signalled = new Promise<undefined>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => done(undefined))
    }
  })
  try {
    const result = await Promise.race([run.walk(bitcoin), run.lost, signalled])
    if (result === undefined) return EXIT.error
    if (isJson) process.stdout.write(`${JSON.stringify(result)}\n`)
    if (keep !== undefined) terminal.note(`all files are in ${keep}`)
    return EXIT.ok
  } catch (error) {
    process.stderr.write(`millrace recover drill: ${(error as Error).message}\n`)
    return error instanceof Unreachable ? EXIT.unreachable : EXIT.error
  } finally {
    await run.stop()
    if (keep === undefined) rmSync(directory, { recursive: true, force: true })
  }
}

function readOptions(
  args: readonly string[],
):
  | { readonly bitcoin: string; readonly keep?: string; readonly isJson: boolean }
  | { readonly text: string; readonly exitCode: number } {
  const fault = (message: string) => {
    return { text: `millrace recover drill: ${message}\n`, exitCode: EXIT.usage }
  }
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    const options = { bitcoin: text, keep: text, json: flag, help: flag }
    const { values } = parseArgs({ args: [...args], options, strict: true })
    if (values.help === true) return { text: USAGE, exitCode: EXIT.ok }
    const keep = values.keep === undefined ? undefined : resolve(values.keep)
    if (keep !== undefined && existsSync(keep)) return fault(`--keep: ${keep} exists`)
    return {
      bitcoin: values.bitcoin ?? 'embedded',
      isJson: values.json === true,
      ...(keep !== undefined && { keep }),
    }
  } catch (error) {
    return fault((error as Error).message)
  }
}

interface Figures {
  readonly [name: string]: unknown
}

class Drill {
  readonly #directory: string
  readonly #terminal: Terminal
  readonly #running = new Map<string, Supervised>()
  readonly #commands: string[] = []
  readonly #lost = Promise.withResolvers<never>()
  #bitcoin: BitcoinRpc | undefined
  #miner: OnDemandMiner | undefined
  #isStopping = false
  readonly #onExit = () => {
    for (const { child } of this.#running.values()) killGroup(child)
  }

  constructor(directory: string, terminal: Terminal) {
    this.#directory = directory
    this.#terminal = terminal
    this.#lost.promise.catch(() => {})
    process.once('exit', this.#onExit)
  }

  /** Rejects when a process that should run has ended. */
  get lost(): Promise<never> {
    return this.#lost.promise
  }

  async walk(which: string): Promise<DrillResult> {
    const terminal = this.#terminal
    terminal.line(
      'Millrace: a recovery drill. A share, a member, then the whole federation is lost.',
    )
    const launched = await launchBitcoin(which, this.#directory, undefined)
    if (launched.process !== undefined) this.#watch(launched.process)
    const bitcoin = createBitcoinRpc({ url: launched.url, timeoutMs: 30_000 })
    this.#bitcoin = bitcoin
    const wallet = new DevelopmentWallet(bitcoin, developmentKey(`drill ${this.#directory}`))
    await this.#mine(MATURE_BLOCKS, wallet.address)
    terminal.step('Bitcoin', launched.what)
    const { federation, rpcUrl } = await this.#federation(bitcoin, launched.url)
    const rpcUrls = [rpcUrl] as const
    const rpc = createNodeRpc(rpcUrl)
    this.#miner = new OnDemandMiner(bitcoin, rpc, wallet.address)
    this.#miner.start()
    await this.#keyMade(rpcUrl)
    const [account] = developmentAccounts()
    const journey = { rpcUrls, wallet, terminal }
    for (const amountSat of DEPOSITS_SAT) {
      await deposit(journey, rpc, account?.address ?? '', amountSat)
    }

    terminal.heading(`Member ${SHARELESS} loses its share`)
    const shareRepaired = await this.#repairShare(federation, rpcUrl)

    terminal.heading(`Member ${GONE} is gone for good: keys, share, journal`)
    await this.#end(`member-${GONE}`)
    rmSync(federation.memberDirectory(GONE), { recursive: true })
    const paid = await payOut(journey)
    const without = SIGNERS.join(', ')
    terminal.step('paid on', `the payout has the signatures of members ${without}`)

    terminal.heading('The federation is gone; its coins are not')
    await this.#recover('rows', { url: rpcUrl, out: 'before.json' })
    // What a sweep has spent and no block has booked would be in the rows and not on Bitcoin.
    await until('all sweeps booked', KEY_MS, async () => {
      const { openSweeps } = await rpc.call<{ readonly openSweeps: number }>('millrace_reserves')
      return openSweeps === 0 ? true : undefined
    })
    await this.#miner.stop()
    for (const name of [...this.#running.keys()]) if (name !== 'bitcoin') await this.#end(name)
    const rows = { 'data-dir': 'node-0/data', out: 'rows.json' }
    const reserve = await this.#recover('rows', rows)
    terminal.step('ended', 'the node and all members; the rows are in the data of the node')
    const vault = wallet.address
    const byMembers = await this.#spendByMembers(launched.url, vault)
    const byRecovery = await this.#spendByRecovery(launched.url, vault)

    const reserveSat = BigInt(String(reserve['totalSat']))
    const feesSat = byMembers.feeSat + byRecovery.feeSat
    const recoveredSat = byMembers.paidSat + byRecovery.paidSat
    terminal.heading('Recovered')
    terminal.table([
      ['reserve', bitcoinText(reserveSat)],
      ['leaf A', bitcoinText(byMembers.paidSat)],
      ['leaf B', bitcoinText(byRecovery.paidSat)],
      ['fees', bitcoinText(feesSat)],
    ])
    if (recoveredSat + feesSat !== reserveSat) {
      throw new Error(`of ${reserveSat} sat ${recoveredSat} came back`)
    }
    return {
      shareRepaired,
      paidWithout: [GONE],
      payoutTxid: paid.txid,
      reserveSat: reserveSat.toString(),
      byMembersSat: byMembers.paidSat.toString(),
      byRecoverySat: byRecovery.paidSat.toString(),
      feesSat: feesSat.toString(),
      commands: this.#commands,
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#miner?.stop()
    const all = [...this.#running.values()]
    await Promise.all(all.filter(({ name }) => name !== 'bitcoin').map(stopProcess))
    await Promise.all(all.map(stopProcess))
    this.#bitcoin?.close()
    process.removeListener('exit', this.#onExit)
  }

  async #federation(
    bitcoin: BitcoinRpc,
    bitcoinUrl: string,
  ): Promise<{ readonly federation: Federation; readonly rpcUrl: string }> {
    const [rpc = 0, p2p = 0, governance = 0, ...members] = await freePorts(3 + MEMBERS)
    const federation = await createFederation({
      directory: this.#directory,
      nodes: 1,
      members: MEMBERS,
      recoveryDelayBlocks: DELAY_BLOCKS,
      bitcoin: await readCheckpoint(bitcoin),
      bitcoinUrl,
      ports: { rpc: [rpc], p2p: [p2p], governance: [governance], members },
      nowMs: Date.now(),
      random: (length) => new Uint8Array(randomBytes(length)),
    })
    for (let index = 0; index < MEMBERS; index++) this.#startMember(federation, index)
    this.#start('node-0', 'node', federation.nodeDirectory(0))
    const rpcUrl = `http://127.0.0.1:${rpc}`
    await until('the first block', START_MS, async () => {
      const head = await createNodeRpc(rpcUrl).call<{ height: number } | null>('getheadblock')
      return head !== null && head.height > 0 ? head : undefined
    })
    const keys = `${MEMBERS} members, 3 recovery keys, ${DELAY_BLOCKS} blocks of delay`
    this.#terminal.step('federation', keys)
    return { federation, rpcUrl }
  }

  async #keyMade(rpcUrl: string): Promise<void> {
    interface Keys {
      readonly keys: readonly { readonly publicKey: string; readonly members: readonly number[] }[]
    }
    const made = await until('the members’ key', KEY_MS, async () => {
      return (await createNodeRpc(rpcUrl).call<Keys | null>('millrace_keygenStatus'))?.keys.at(-1)
    })
    const holders = made.members.join(', ')
    this.#terminal.step(
      'key made',
      `${made.publicKey.slice(0, 16)}… in shares of members ${holders}`,
    )
  }

  /** The file that holds it again. */
  async #repairShare(federation: Federation, rpcUrl: string): Promise<string> {
    const terminal = this.#terminal
    await this.#end(`member-${SHARELESS}`)
    const shares = join(federation.memberDirectory(SHARELESS), 'data', 'shares')
    rmSync(shares, { recursive: true })
    terminal.step('lost', `${shares.slice(this.#directory.length + 1)} is deleted`)
    await this.#recover('rows', { url: rpcUrl, out: 'keys-of-epochs.json' })
    const rows = { rows: 'keys-of-epochs.json' }
    const own = holderOf(`member-${SHARELESS}`)
    const helper = HELPERS.map(String)
    await this.#recover('share ask', { ...rows, helper, ...own, out: 'ask.json' })
    terminal.step('asked', `members ${HELPERS.join(', ')}`)
    const ask = { ask: 'ask.json' }
    const parts = HELPERS.map((member) => `part-${member}.json`)
    const sums = HELPERS.map((member) => `sum-${member}.json`)
    for (const [at, member] of HELPERS.entries()) {
      const data = { 'data-dir': `member-${member}/data` }
      const out = { out: parts[at] as string, yes: true }
      await this.#recover('share help', {
        ...ask,
        ...data,
        ...holderOf(`member-${member}`),
        ...out,
      })
    }
    terminal.step('helped', 'each gave a part, sealed to the others')
    for (const [at, member] of HELPERS.entries()) {
      const out = { out: sums[at] as string }
      await this.#recover('share sum', {
        ...ask,
        from: parts,
        ...holderOf(`member-${member}`),
        ...out,
      })
    }
    const data = { 'data-dir': `member-${SHARELESS}/data` }
    const given = { ...ask, from: [...parts, ...sums], ...rows }
    const taken = await this.#recover('share take', { ...given, ...data, ...own })
    terminal.step('repaired', `${taken['path']}, checked against the key in the ledger`)
    this.#startMember(federation, SHARELESS)
    return String(taken['path'])
  }

  async #spendByMembers(bitcoin: string, to: string): Promise<Spent> {
    const [first] = this.#outputs()
    if (first === undefined) throw new Error('the reserve is empty')
    const plan = {
      rows: 'rows.json',
      output: [first],
      leaf: 'members',
      to,
      'fee-rate': '5',
      bitcoin,
    }
    await this.#recover('plan', { ...plan, out: 'a.psbt' })
    await this.#recover('show', { psbt: 'a.psbt' })
    const copies = SIGNERS.map((member) => `a-${member}.psbt`)
    for (const [at, member] of SIGNERS.entries()) {
      const out = { out: copies[at] as string, yes: true }
      await this.#recover('sign', { psbt: 'a.psbt', ...holderOf(`member-${member}`), ...out })
    }
    await this.#recover('combine', { psbt: copies, out: 'a-signed.psbt' })
    const done = await this.#recover('finish', { psbt: 'a-signed.psbt', bitcoin, send: true })
    const signers = `members ${SIGNERS.join(', ')}`
    return this.#confirmed('leaf A', `one output, signed by ${signers}`, done, to)
  }

  async #spendByRecovery(bitcoin: string, to: string): Promise<Spent> {
    const plan = { rows: 'rows.json', leaf: 'recovery', to, 'fee-rate': '5', bitcoin }
    await this.#recover('plan', { ...plan, out: 'early.psbt' }, 'refused')
    this.#terminal.step(
      'too early',
      'leaf B opens an output when it is deep enough, and not before',
    )
    await this.#mine(DELAY_BLOCKS, to)
    this.#terminal.step('waited', `${DELAY_BLOCKS} blocks`)
    await this.#recover('plan', { ...plan, out: 'b.psbt' })
    const copies = COLD_SIGNERS.map((key) => `b-${key}.psbt`)
    for (const [at, key] of COLD_SIGNERS.entries()) {
      const out = { out: copies[at] as string, yes: true }
      await this.#recover('sign', { psbt: 'b.psbt', ...holderOf(`recovery-${key}`), ...out })
    }
    const done = await this.#recover('finish', { psbt: copies, bitcoin, send: true })
    const signers = `recovery keys ${COLD_SIGNERS.join(', ')}`
    return this.#confirmed('leaf B', `all others, signed by ${signers}`, done, to)
  }

  /** What Bitcoin has for it after the next block. */
  async #confirmed(leaf: string, what: string, done: Figures, address: string): Promise<Spent> {
    await this.#mine(1, address)
    const txid = String(done['txid'])
    const found = await this.#bitcoin?.getTxOut(txid, 0)
    if (found?.ok !== true || found.value === null) throw new Error(`${txid} is not confirmed`)
    const paidSat = found.value.amountSat
    const feeSat = BigInt(String(done['feeSat']))
    this.#terminal.step(leaf, `${what}: ${bitcoinText(paidSat)}`)
    this.#terminal.note(`Bitcoin ${txid}`)
    return { paidSat, feeSat }
  }

  /** Those of `rows.json` that are unspent, the largest first. */
  #outputs(): readonly string[] {
    const text = readFileSync(join(this.#directory, 'rows.json'), 'utf8')
    const { outputs } = JSON.parse(text) as {
      readonly outputs: readonly { readonly outpoint: string; readonly amountSat: string }[]
    }
    return [...outputs]
      .sort((left, right) => Number(BigInt(right.amountSat) - BigInt(left.amountSat)))
      .map(({ outpoint }) => outpoint)
  }

  /** One command, in a process of its own, in the drill's directory; what it says. It does what it is told, or refuses where it must. */
  async #recover(
    words: string,
    flags: Readonly<Record<string, string | readonly string[] | boolean>>,
    refused?: 'refused',
  ): Promise<Figures> {
    const args = ['recover', ...words.split(' '), '--genesis', 'genesis.json']
    for (const [name, value] of Object.entries(flags)) {
      if (typeof value === 'boolean') args.push(`--${name}`)
      else for (const one of [value].flat()) args.push(`--${name}`, one as string)
    }
    const typed = args.map((one) => (one === flags['bitcoin'] ? SHOWN_BITCOIN : one)).join(' ')
    this.#commands.push(typed)
    this.#terminal.note(`millrace ${typed}`)
    const child = spawn(process.execPath, [DOOR, ...args, '--json'], {
      cwd: this.#directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk
    })
    const code = await new Promise<number | null>((done) => child.once('close', done))
    const answer = said.trimEnd().split('\n').at(-1) ?? ''
    if ((code === 0) === (refused === undefined)) return JSON.parse(answer) as Figures
    throw new Error(`${typed}: ${said.trim()}`)
  }

  #startMember(federation: Federation, index: number): void {
    this.#start(`member-${index}`, 'governance', federation.memberDirectory(index))
  }

  #start(name: string, command: string, own: string): void {
    const args = [command, '--config', join(own, 'config.json')]
    this.#watch(startProgram(name, args, join(this.#directory, `${name}.log`)))
  }

  #watch(supervised: Supervised): void {
    const { name } = supervised
    this.#running.set(name, supervised)
    void supervised.exited.then((code) => {
      if (this.#isStopping || this.#running.get(name) !== supervised) return
      const how = code ?? 'a signal'
      this.#lost.reject(new Error(`${name} ended with ${how}: ${supervised.tail().trim()}`))
    })
  }

  /** On purpose. */
  async #end(name: string): Promise<void> {
    const supervised = this.#running.get(name)
    if (supervised === undefined) return
    this.#running.delete(name)
    await stopProcess(supervised)
  }

  async #mine(blocks: number, address: string): Promise<void> {
    const mined = await this.#bitcoin?.generateToAddress(blocks, address)
    if (mined?.ok !== true) throw new Error('Bitcoin does not mine')
  }
}

interface Spent {
  readonly paidSat: bigint
  readonly feeSat: bigint
}

/** The files of one holder. */
function holderOf(own: string): { readonly keys: string; readonly 'password-file': string } {
  return { keys: `${own}/keys.json`, 'password-file': `${own}/password` }
}

async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  let next = FIRST_PORT + (process.pid % 64) * 100
  for (let index = 0; index < count; index++) {
    const found = await findPort({ host: '127.0.0.1', port: next }, { fallback: true })
    if (!found.ok) throw new Error(`port ${next} is in use`)
    ports.push(found.port)
    next = found.port + 1
  }
  return ports
}
