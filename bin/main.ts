/** The commands of Millrace. Each is a program of its own room; only what is asked for is loaded. */

const USAGE = `millrace: a federated Bitcoin sidechain node

usage: millrace COMMAND [options]

  dev          a whole development federation with its Bitcoin, and one round trip of a coin
  node         a federation node
  governance   a governance node, which holds one key of the federation
  signer       holds a governance node's keys in a process, or on a machine, of their own
  bitcoin      the development Bitcoin (regtest) alone
  validators   who decides blocks; changes of that: propose, approve, submit
  order        what the members decide about the peg: refunds of deposits that named nobody, losses
  handover     another key for the federation: what members call for, and where its making stands
  books        the ledger as CSV: every satoshi with its cause
  keys         what this machine's keys have signed: the sign guard of a validator
  doctor       what is wrong with a node and what to do about it; its data, checked to the last byte
  backup       a node in one encrypted file, made while it runs
  recover      spend the reserve by a leaf, get a lost share back: what holders of keys do by hand
  restore      a node from its backup, on the same or another machine
  genesis      block 0 of the EVM chain for an execution client of another make
  inspect      the live supervision tree of a running node
  faucet       more coins for an address of the running development federation

millrace COMMAND --help tells more of each.
`

/** Exit codes: 0 ok, 1 error, 2 usage, 3 configuration, 4 data damaged or in use, 5 unreachable, 70 bug. */
const EXIT_USAGE = 2
/** How long a program whose parent is gone may take to stop. */
const ORPHAN_MS = 8_000

type Program = (args: readonly string[]) => Promise<number>

const COMMANDS: Readonly<Record<string, () => Promise<Program>>> = {
  dev: async () => (await import('../devnet/launcher/index.ts')).main,
  faucet: async () => (await import('../devnet/launcher/index.ts')).faucet,
  node: async () => (await import('../node/cli.ts')).main,
  governance: async () => (await import('../governance/index.ts')).main,
  books: async () => (await import('../node/books/index.ts')).main,
  signer: async () => (await import('../governance/remote/index.ts')).main,
  keys: async () => (await import('../node/keys/index.ts')).main,
  validators: async () => (await import('../node/validators/index.ts')).main,
  order: async () => (await import('../node/orders/index.ts')).main,
  handover: async () => (await import('../node/handover/index.ts')).main,
  doctor: async () => doctor,
  backup: async () => (await import('../node/backup/index.ts')).backup,
  restore: async () => (await import('../node/backup/index.ts')).restore,
  recover: async () => recover,
  genesis: async () => (await import('../node/genesis/index.ts')).main,
  inspect: async () => (await import('../node/inspect/index.ts')).main,
  bitcoin: async () => (await import('../devnet/bitcoin/index.ts')).main,
}

/** Of a node, or of a member or its signer by their configuration. */
async function doctor(args: readonly string[]): Promise<number> {
  const isMember = args.includes('--member') || args.includes('--signer')
  if (isMember) return (await import('../governance/doctor.ts')).doctor(args)
  return (await import('../node/doctor/index.ts')).main(args)
}

/** The drill is a development federation; the rest needs none. */
async function recover(args: readonly string[]): Promise<number> {
  const [word, ...rest] = args
  if (word === 'drill') return (await import('../devnet/launcher/index.ts')).drill(rest)
  return (await import('../governance/recover/index.ts')).main(args)
}

export async function run(args: readonly string[]): Promise<void> {
  const [command, ...rest] = args
  if (command === undefined || command === 'help' || command === '--help') {
    process.stdout.write(USAGE)
    return exit(command === undefined ? EXIT_USAGE : 0)
  }
  const load = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined
  if (load === undefined) {
    const known = Object.keys(COMMANDS).join(', ')
    process.stderr.write(`millrace: unknown command ${command}; there are ${known}\n`)
    return exit(EXIT_USAGE)
  }
  if (process.env['MILLRACE_PARENT'] === 'stdin') endWithParent()
  const program = await load()
  exit(await program(rest))
}

/** A launcher keeps our standard input open; when it closes, the launcher is gone, and so shall we be. */
function endWithParent(): void {
  const orphaned = () => {
    process.kill(process.pid, 'SIGTERM')
    setTimeout(() => process.exit(1), ORPHAN_MS).unref()
  }
  process.stdin.once('end', orphaned)
  process.stdin.once('error', orphaned)
  process.stdin.resume()
}

/** Ends the process even where a library keeps a handle open; what was written goes out first. */
function exit(code: number): void {
  process.stdout.write('', () => process.exit(code))
}
