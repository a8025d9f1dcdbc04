/**
 * `node test/bench/status-page.ts [FOLDER]`: takes pictures of the status page in Chromium over a fixture node: at work, in
 * trouble, empty, in light and dark, on a desk and on a phone. Without a folder it serves the page until it is stopped.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { Registry } from 'prom-client'
import { toHex } from '../../crypto/index.ts'
import {
  createIds,
  createSystemClock,
  createSystemRandom,
} from '../../node/adapters/system/index.ts'
import { createApi, type PegOperation } from '../../node/api/index.ts'
import {
  ACTOR_NAMES,
  actorRow,
  CONTRACT,
  createFakeNode,
  type FakeNode,
  SENDER,
  signedTransaction,
} from '../unit/node/api/fake-node.ts'

const STATES: Readonly<Record<string, string>> = {
  chain: 'Active.Importing',
  engine: 'Running',
  bridge: 'Monitoring',
  sync: 'Idle',
  network: 'Running',
  stream: 'Running',
  storage: 'Running',
}

const id = (seed: string) => Buffer.from(seed.padEnd(32, seed)).toString('hex').slice(0, 64)

const OPERATIONS: readonly PegOperation[] = [
  {
    direction: 'in',
    id: `${id('deposit-b')}:1`,
    amountSat: 25_000_000n,
    step: 'Confirming',
    progress: { have: 2, need: 3 },
    evmAddress: toHex(SENDER),
    next: 'one more Bitcoin block, then the members are asked',
  },
  {
    direction: 'out',
    id: id('burn-a'),
    amountSat: 4_200_000n,
    step: 'CollectingSignatures',
    progress: { have: 2, need: 3 },
    bitcoinAddress: 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080',
  },
  {
    direction: 'in',
    id: `${id('deposit-a')}:0`,
    amountSat: 500_000_000n,
    step: 'Included',
    evmAddress: toHex(CONTRACT),
    height: 18_190,
  },
  {
    direction: 'out',
    id: id('burn-0'),
    amountSat: 1_000_000n,
    step: 'Booked',
    bitcoinAddress: 'bcrt1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr',
    txid: id('payout'),
    feeSat: 312n,
  },
]

function fillBusy(node: FakeNode): void {
  node.chain.payloads.length = 0
  node.chain.receipts.length = 0
  node.chain.committed.length = 0
  const now = Math.floor(Date.now() / 1_000)
  const shape = [0, 1, 0, 3, 0, 0, 7, 2, 0, 1, 0, 24, 3, 0, 0, 1, 5, 0, 2, 0, 0, 9, 1, 0, 4]
  for (const [at, transactions] of shape.entries()) {
    const raws = Array.from({ length: transactions }, (_, nonce) =>
      signedTransaction({ type: 2, nonce, to: CONTRACT }),
    )
    node.addBlock(raws)
    const committed = node.chain.committed.at(-1)
    if (committed === undefined) continue
    const late = at > 12 ? 1 : 0
    const { block } = committed
    block.header.height = at
    block.header.slot = now - shape.length + at - 1 + late
    block.body.payload.timestamp = block.header.slot
    if (at === 13) committed.certificate.view = 1
    if (at === 8 || at === 21) {
      block.body.pegIns = [
        {
          kind: 0,
          reason: 0,
          txid: SENDER,
          vout: 0,
          amountSat: 1n,
          evmAddress: SENDER,
          refundScript: SENDER,
          depositEpoch: 0,
          proofIndex: 0,
          approval: undefined as never,
        },
      ]
    }
    if (at === 18) {
      block.body.records = [
        { kind: 0, batchId: SENDER, version: 0, feeRateSatPerKvb: 1_000, transaction: SENDER },
      ]
    }
    if (at === 16) block.body.keygen = Array.from({ length: 4 }, () => ({}) as never)
    if (at === 20) block.body.pegOrders = [{} as never]
    if (at === 23) block.body.bookings = [{ proofIndex: 0 }]
  }
  const slot = now + 1
  node.consensus = {
    ...node.consensus,
    height: shape.length,
    slot,
    viewStartSlot: slot,
    step: 'Active.Producing',
    proposer: 1,
  }
  node.operations = [...OPERATIONS]
  node.reserve = {
    height: shape.length - 1,
    reserveSat: 529_000_000n,
    supplySat: 494_790_000n,
    inFlightSat: 34_210_000n,
    deficitSat: 0n,
    pegInsPaused: false,
    pegOutsPaused: false,
    openSweeps: 0,
    inFlight: [
      { id: `${id('deposit-b')}:1`, kind: 'creditedNotMinted', amountSat: 25_000_000n },
      { id: id('burn-a'), kind: 'burnedNotPaid', amountSat: 4_200_000n },
      { id: 'fund', kind: 'fund', amountSat: 5_010_000n },
    ],
    outputs: [],
    scripts: [],
    totals: {
      pegIns: 12,
      pegInSat: 612_000_000n,
      pegOuts: 7,
      pegOutSat: 83_000_000n,
      mintedSat: 611_988_000n,
      burnedSat: 83_001_582n,
    },
  }
  const key = (epoch: number, validUntil: number | null) => {
    const members = [0, 1, 2, 3].slice(0, 5 - epoch)
    return { epoch, publicKey: id(`key ${epoch}`), members, height: 9 * epoch, validUntil }
  }
  node.keys = { height: shape.length - 1, epoch: 2, keys: [key(1, 53_764), key(2, null)] }
  node.peers = ['Ah7Vd9', 'Qw3mLx', 'Tz8pKe'].map((part, index) => ({
    id: `12D3KooW${part}yBcRq4NsJ2fGtU6vXaZe5HkLpMwD${index}`,
    inbound: index === 1,
    height: shape.length - 1,
    validator: index + 1,
  }))
  node.bitcoin = { ...node.bitcoin, height: 1_204, inBlockHeight: 1_203 }
  node.actors = ACTOR_NAMES.map((path, index) =>
    actorRow(path, {
      state: STATES[path] ?? 'Running',
      handled: [48_211, 20_480, 3_912, 1_204, 91_377, 2_210, 24_006][index] ?? 0,
      depth: { ...actorRow('').depth, consensus: path === 'network' ? 31 : index % 3 },
    }),
  )
  node.actors.push(
    actorRow('bridge/pegin/a', { state: 'Running' }),
    actorRow('bridge/pegout/b', { state: 'Running' }),
  )
}

function fillTrouble(node: FakeNode): void {
  fillBusy(node)
  node.consensus = {
    ...node.consensus,
    view: 2,
    prepares: [0, 1],
    commits: [],
    viewChanges: [0, 1, 3],
    step: 'Active.AwaitingViewChanges',
  }
  node.bitcoin = { ...node.bitcoin, reachable: false }
  const oldestOutput = {
    outpoint: `${'ab'.repeat(32)}:0`,
    amountSat: 50_000_000n,
    percent: 61,
    waitsFor: 'fund',
  }
  node.reserve = { ...node.reserve, openSweeps: 2, oldestOutput, pegOutsPaused: true }
  node.keys = {
    ...node.keys,
    making: {
      epoch: 3,
      stage: 'confirmations',
      attempt: 1,
      members: [0, 1, 2, 3],
      waitingFor: [1, 3],
      culprits: [],
    },
  }
  node.peers = node.peers.slice(0, 1)
  const fault = {
    code: 'EngineUnavailable',
    faultClass: 'service' as const,
    reason: 'worker exited',
    atMs: Date.now() - 42_000,
  }
  node.actors = node.actors.map((row) => {
    if (row.path === 'engine') {
      return actorRow('engine', { life: 'Restarting', restarts: 3, handled: 9, lastFault: fault })
    }
    if (row.path === 'chain') return { ...row, degraded: true }
    if (row.path === 'network') {
      return { ...row, depth: { ...row.depth, gossip: 93 }, pressure: 'Critical' as const }
    }
    return row
  })
  node.operations = node.operations.map((operation, index) =>
    index === 1
      ? { ...operation, reason: 'SignaturesMissing', next: 'asked again in 20 s' }
      : operation,
  )
  node.sync = { state: 'Headers', startHeight: 0, currentHeight: 24, targetHeight: 180 }
}

function fillEmpty(node: FakeNode): void {
  node.chain.payloads.splice(1)
  node.chain.receipts.splice(1)
  node.chain.committed.splice(1)
  const slot = Math.floor(Date.now() / 1_000)
  node.consensus = {
    ...node.consensus,
    height: 1,
    slot,
    viewStartSlot: slot,
    prepares: [],
    commits: [],
    step: 'Active.WaitingForPeers',
  }
  node.operations = []
  node.reserve = {
    height: 0,
    reserveSat: 0n,
    supplySat: 0n,
    inFlightSat: 0n,
    deficitSat: 0n,
    pegInsPaused: false,
    pegOutsPaused: false,
    openSweeps: 0,
    inFlight: [],
    outputs: [],
    scripts: [],
    totals: { pegIns: 0, pegInSat: 0n, pegOuts: 0, pegOutSat: 0n, mintedSat: 0n, burnedSat: 0n },
  }
  node.peers = []
  node.sync = { ...node.sync, currentHeight: 0, targetHeight: 0 }
  node.actors = ACTOR_NAMES.map((path) => actorRow(path))
  Object.assign(node.ports.node, { startedAtMs: Date.now() })
}

/** The scene moves on: blocks, votes, messages. */
function play(node: FakeNode): NodeJS.Timeout {
  let beat = 0
  return setInterval(() => {
    beat += 1
    const quarter = beat % 4
    if (quarter === 0) {
      node.addBlock(beat % 3 === 0 ? [signedTransaction({ type: 2, nonce: beat })] : [])
      const slot = Math.floor(Date.now() / 1_000)
      const committed = node.chain.committed.at(-1)
      if (committed !== undefined) {
        committed.block.header.slot = slot
        committed.block.body.payload.timestamp = slot
      }
      const height = node.consensus.height + 1
      node.consensus = {
        ...node.consensus,
        height,
        slot,
        viewStartSlot: slot + 1,
        proposer: height % 4,
      }
    }
    node.consensus = {
      ...node.consensus,
      prepares: [0, 1, 2, 3].slice(0, quarter + 1),
      commits: [0, 1, 2, 3].slice(0, Math.max(0, quarter * 2 - 2)),
    }
    node.actors = node.actors.map((row, index) => ({
      ...row,
      handled: row.handled + ((beat * (index + 3)) % 23),
    }))
    node.changed()
  }, 250)
}

const SCENES = { busy: fillBusy, trouble: fillTrouble, empty: fillEmpty }

async function serve(fill: (node: FakeNode) => void, port: number) {
  const clock = createSystemClock()
  const random = createSystemRandom()
  const node = createFakeNode(clock)
  fill(node)
  const api = createApi(node.ports, {
    clock,
    random,
    ids: createIds(random),
    log: { write: (record) => console.error(record) },
    registry: new Registry(),
  })
  const listening = await api.listen({ host: '127.0.0.1', port }, { fallback: true })
  if (!listening.ok) throw new Error(listening.error.code)
  return { node, api, url: `http://127.0.0.1:${listening.value}` }
}

const PICTURES = [
  { name: 'light', scene: 'busy', scheme: 'light', width: 1280, height: 900 },
  { name: 'dark', scene: 'busy', scheme: 'dark', width: 1280, height: 900 },
  { name: 'phone', scene: 'busy', scheme: 'light', width: 390, height: 844 },
  { name: 'trouble', scene: 'trouble', scheme: 'light', width: 1280, height: 900 },
  { name: 'trouble-dark', scene: 'trouble', scheme: 'dark', width: 1280, height: 900 },
  { name: 'empty', scene: 'empty', scheme: 'light', width: 1280, height: 900 },
  { name: 'empty-dark-phone', scene: 'empty', scheme: 'dark', width: 390, height: 844 },
] as const

async function takePictures(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  })
  for (const { name, scene, scheme, width, height } of PICTURES) {
    const { node, api, url } = await serve(SCENES[scene], 0)
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: scheme,
      deviceScaleFactor: 2,
    })
    const page = await context.newPage()
    page.on('console', (message) => console.error(`${name}: ${message.text()}`))
    page.on('pageerror', (error) => console.error(`${name}: ${error.message}`))
    const timer = scene === 'busy' ? play(node) : undefined
    await page.goto(url)
    await page.waitForTimeout(scene === 'busy' ? 2_600 : 900)
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
    const wide = await page.evaluate('document.documentElement.scrollWidth')
    if (Number(wide) > width) console.error(`${name}: ${wide} px wide in ${width}`)
    clearInterval(timer)
    await context.close()
    await api.close()
  }
  await browser.close()
}

const folder = process.argv[2]
if (folder === undefined) {
  const { node, url } = await serve(fillBusy, 8546)
  play(node)
  console.log(url)
} else {
  await takePictures(folder)
}
