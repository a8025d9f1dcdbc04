/**
 * Every port has one suite, which the real and the simulated adapter pass (design §2). Ports are found in the sources: an interface of
 * a `port.ts` with something to call. One that is new fails here until it has its suite.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../docs/generator/source.ts'

interface Suite {
  readonly suite: string
  /** Where it is run: a name for each adapter. */
  readonly run: string
  readonly real: readonly string[]
  readonly simulated: readonly string[]
}

const files = { suite: 'files-suite.ts', run: 'files.test.ts' }
const kernel = {
  suite: 'kernel-suite.ts',
  run: 'kernel.test.ts',
  real: ['createSystemClock', 'createSystemRandom', 'createIds', 'createLog', 'createMetricSink'],
  simulated: ['RunningWorld'],
}
const stream = {
  suite: 'stream-suite.ts',
  run: 'stream.test.ts',
  real: ['createGovernanceServer', 'createLinksPort'],
  simulated: ['Streams'],
}
const bitcoin = {
  suite: 'bitcoin-port-suite.ts',
  run: 'bitcoin-port.test.ts',
  real: ['createBitcoinPort', 'createOwnBitcoin'],
  simulated: ['SimulatedBitcoin'],
}

const SUITES: Readonly<Record<string, Suite>> = {
  Clock: kernel,
  Random: kernel,
  Ids: kernel,
  LogSink: kernel,
  MetricSink: kernel,
  ChainStore: {
    suite: 'chain-store-suite.ts',
    run: 'chain-store.test.ts',
    real: ['openChainStore'],
    simulated: ['Disk'],
  },
  SignGuard: { ...files, real: ['openSignGuard'], simulated: ['Disk'] },
  HeadStore: { ...files, real: ['fileHeadStore'], simulated: ['HeaderDisk'] },
  LineFile: { ...files, real: ['openLines'], simulated: ['LineDisk'] },
  EnginePort: {
    suite: 'engine-suite.ts',
    run: 'engine.test.ts',
    real: ['openEngine'],
    simulated: ['Disk'],
  },
  NetworkPort: {
    suite: 'network-suite.ts',
    run: 'network.test.ts',
    real: ['createLibp2pNetwork'],
    simulated: ['Network'],
  },
  DepositAddresses: {
    suite: 'deposit-addresses-suite.ts',
    run: 'deposit-addresses.test.ts',
    real: ['openDepositAddresses'],
    simulated: ['AddressDisk'],
  },
  BitcoinPort: bitcoin,
  OwnBitcoin: bitcoin,
  Vault: {
    suite: 'vault-suite.ts',
    run: 'vault.test.ts',
    real: ['openKeystore', 'openSigner'],
    simulated: ['createVault', 'HeaderDisk'],
  },
  StreamPort: stream,
  LinksPorts: stream,
  SignatureSuite: {
    suite: 'signature-suite.ts',
    run: 'signature.test.ts',
    real: ['blsSuite'],
    simulated: ['createKeyRegistry'],
  },
}

/** Interfaces with something to call that are no adapter's: why not. */
const NO_ADAPTER: Readonly<Record<string, string>> = {
  Signer: 'a key of the signature suite, tried with it',
  TimerHandle: 'what a clock gives, tried with it',
  Tracer: 'takes spans and gives nothing back; the simulator has none',
  NetworkEvents: 'what a network port calls, tried with it',
  StreamListener: 'what a stream port calls, tried with it',
  LinkListener: 'what a member’s link calls, tried with it',
  ChainViewSink: 'the same views take it in node and simulator',
  BridgeViewSink: 'the same views take it in node and simulator',
  ChainReader: 'the same code reads the store in node and simulator',
  ValidatorKey: 'a signer of the signature suite',
  ChainPorts: 'a bundle: opens a SignGuard',
  EnginePorts: 'a bundle: opens an EnginePort',
  StoragePorts: 'a bundle: opens a ChainStore',
  FollowedStore: 'the same code over a HeadStore and a Vault in member and simulator',
  PoolJournal:
    'the simulator’s pools are forgotten with their node; the files’ own test kills and tears them',
}

const sources = [
  ...readdirSync(join(ROOT, 'actors')).map((room) => `actors/${room}/port.ts`),
  'governance/port.ts',
  'governance/files.ts',
  'supervisor/ports.ts',
  'crypto/suite.ts',
]

/** Interfaces with a method, or a field that is a function. */
function declared(path: string): string[] {
  const text = readFileSync(join(ROOT, path), 'utf8')
  return [...text.matchAll(/^export interface (\w+)[^{]*\{\n(?<body>[\s\S]*?)^\}/gm)]
    .filter(({ groups }) =>
      /^\s+(?:readonly )?\w+(?:<\w+>)?(?:\(|: \()/m.test(groups?.['body'] ?? ''),
    )
    .map(([, name = '']) => name)
}

const ports = sources.flatMap(declared)
const read = (name: string) => readFileSync(join(ROOT, 'test/ports', name), 'utf8')

describe('ports', () => {
  it('are found', () => {
    expect(ports.length).toBeGreaterThan(15)
    expect(new Set(ports).size).toBe(ports.length)
  })

  it('each has one suite, or a reason to have none', () => {
    const known = [...Object.keys(SUITES), ...Object.keys(NO_ADAPTER)]
    expect(ports.filter((port) => !known.includes(port))).toEqual([])
    expect(known.filter((port) => !ports.includes(port))).toEqual([])
  })

  it.each(Object.entries(SUITES))('%s: real and simulated adapter run the suite', (_, each) => {
    expect(existsSync(join(ROOT, 'test/ports', each.suite))).toBe(true)
    const text = read(each.run)
    const [, suite] = /export (?:async )?function (\w+Suite)\(/.exec(read(each.suite)) ?? []
    expect(suite).toBeDefined()
    const names = [...text.matchAll(new RegExp(`^\\s*${suite}\\('([^']+)'`, 'gm'))].map(
      ([, name]) => name,
    )
    expect(names.length).toBeGreaterThanOrEqual(2)
    expect(names).toContain('simulated')
    for (const adapter of [...each.real, ...each.simulated]) {
      expect({ adapter, isThere: text.includes(adapter) }).toEqual({ adapter, isThere: true })
    }
  })
})
