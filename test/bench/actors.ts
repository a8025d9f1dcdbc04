/**
 * Benches `actor_NAME`: one of a node's actors with its real handlers, on what it was told in a simulated federation. Where checks of
 * signatures or synced writes are what it does, they are measured beside it: that is the bound.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storageActor } from '../../actors/storage/index.ts'
import { blsKeyPair, blsSigner, blsSuite, sha256 } from '../../crypto/index.ts'
import { MESSAGE_ROWS } from '../../messages/index.ts'
import { openChainStore } from '../../node/adapters/chain-store/index.ts'
import { childSpec, createSystem, type Request } from '../../supervisor/index.ts'
import { ownClock } from './clocks.ts'
import { type Bench, type Figure, median, quantile } from './figures.ts'
import { realPorts } from './kernel-contenders.ts'
import { type Checks, type Recording, record, replay } from './recording.ts'

/** Ten times what the seeds ask for, messages each second (SU-13); they name no number for the other two. */
const AIMS: Readonly<Record<string, number | undefined>> = {
  chain: 10_000,
  network: 100_000,
  bridge: 1_000,
  sync: 50_000,
  storage: 20_000,
}
/** From one actor to another (SU-13). */
const LATENCY_AIM_MS = 5
const DISK_AIM_MS = 10
/** Messages that are handled before anything counts: the compiler has its turn first, however short the recording is. */
const WARM_UP = 3_000
/** Of a recording at a pace: enough for a p99, short enough to wait for. */
const MOST_PACED = 5_000

export const actorBench =
  (name: string): Bench =>
  async ({ rounds, tell }) => {
    const clock = ownClock()
    const recording = await record(name)
    tell(`${name} was told ${recording.told.length} messages`)
    const rates: number[] = []
    const bounds: number[] = []
    for (let handled = 0; handled < WARM_UP; handled += recording.told.length) {
      await replay(recording, 'asFastAsPossible', clock)
    }
    for (let round = 0; round < rounds; round++) {
      const before = { ...recording.checks }
      const { count, seconds } = await replay(recording, 'asFastAsPossible', clock)
      rates.push(count / seconds)
      const checkSeconds = secondsOfChecks(before, recording.checks)
      if (checkSeconds > 0) bounds.push(count / checkSeconds)
    }
    const figures = [throughput(name, recording, rates, bounds)]
    const aim = AIMS[name] ?? Number.POSITIVE_INFINITY
    const perSecond = Math.min(aim, median(rates) / 2)
    const { latenciesMs } = await replay(recording, { perSecond, atMost: MOST_PACED }, clock)
    figures.push({
      metric: `actor_${name}_p99`,
      unit: 'ms',
      better: 'lower',
      ours: quantile(latenciesMs, 0.99),
      note: `at ${Math.round(perSecond)} msg/s, from due to handled; aim ${LATENCY_AIM_MS}`,
    })
    if (name === 'storage') figures.push(...(await onDisk(recording)))
    clock.close()
    return figures
  }

function throughput(
  name: string,
  { told }: Recording,
  rates: readonly number[],
  bounds: readonly number[],
): Figure {
  const aim = AIMS[name]
  const peers = {
    ...(aim !== undefined && { aim }),
    ...(bounds.length > 0 && { bls_checks: median(bounds) }),
  }
  const spread = `${Math.round(Math.min(...rates))}–${Math.round(Math.max(...rates))}`
  return {
    metric: `actor_${name}`,
    unit: 'msg/s',
    better: 'higher',
    ours: median(rates),
    peers,
    note: `${told.length} messages, ${rates.length} rounds, ${spread}`,
  }
}

const SIGNER = blsSigner(blsKeyPair(sha256(new TextEncoder().encode('bench'))).secretKey)
const SIGNED = sha256(new TextEncoder().encode('a vote'))
const SIGNATURE = SIGNER.sign(SIGNED)
const QUORUM = 3

/** The same checks and nothing else, in the same seconds of this machine. */
function secondsOfChecks(before: Checks, after: Checks): number {
  const clock = ownClock()
  const startedMs = clock.read()
  for (let n = before.verified; n < after.verified; n++) {
    blsSuite.verify(SIGNER.publicKey, SIGNED, SIGNATURE)
  }
  const keys = Array.from({ length: QUORUM }, () => SIGNER.publicKey)
  const certificate = blsSuite.aggregate(keys.map(() => SIGNATURE)) as Uint8Array
  for (let n = before.aggregatesVerified; n < after.aggregatesVerified; n++) {
    blsSuite.verifyAggregate(keys, SIGNED, certificate)
  }
  const seconds = (clock.read() - startedMs) / 1_000
  clock.close()
  const isAny =
    after.verified + after.aggregatesVerified > before.verified + before.aggregatesVerified
  return isAny ? seconds : 0
}

/** The recorded requests, one after the other as Chain sends them, to a real store on a real disk. */
async function onDisk({ told }: Recording): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    const sizes: number[] = []
    const open = async () => {
      const store = await openChainStore(join(directory, 'chain'))
      const write = store.writeBlocks.bind(store)
      store.writeBlocks = (blocks, rows) => {
        const ledger = rows.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
        sizes.push(blocks.reduce((sum, { bytes }) => sum + bytes.length, ledger))
        return write(blocks, rows)
      }
      return store
    }
    const ports = realPorts()
    const child = childSpec(storageActor, { metrics: ports.metrics, open })
    const system = createSystem({ ports, registry: MESSAGE_ROWS, children: [child] })
    const started = await system.start()
    if (!started.ok) throw new Error(started.reason.why)
    const requests = new Set(MESSAGE_ROWS.flatMap(({ type, reply }) => reply && type))
    const latenciesMs: number[] = []
    const startedMs = performance.now()
    for (const { message } of told) {
      if (!requests.has(message.type)) continue
      const sentMs = performance.now()
      const answer = await system.ask('storage', message as Request, { timeoutMs: 30_000 })
      if (!answer.ok) throw new Error(`${message.type}: ${answer.error.code}`)
      latenciesMs.push(performance.now() - sentMs)
    }
    const perSecond = (latenciesMs.length * 1_000) / (performance.now() - startedMs)
    await system.stop()
    const bound = (latenciesMs.length * 1_000) / synced(join(directory, 'floor'), sizes)
    const note = `${latenciesMs.length} requests, ${sizes.length} of them synced writes`
    return [
      {
        metric: 'actor_storage_disk',
        unit: 'msg/s',
        better: 'higher',
        ours: perSecond,
        peers: { fdatasync: bound },
        note: `${note}, one at a time`,
      },
      {
        metric: 'actor_storage_disk_p99',
        unit: 'ms',
        better: 'lower',
        ours: quantile(latenciesMs, 0.99),
        note: `${note}; aim ${DISK_AIM_MS}`,
      },
    ]
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Milliseconds for the same bytes appended to a file, synced as often. */
function synced(path: string, sizes: readonly number[]): number {
  const file = openSync(path, 'w')
  const startedMs = performance.now()
  for (const size of sizes) {
    writeSync(file, new Uint8Array(size))
    fdatasyncSync(file)
  }
  const tookMs = performance.now() - startedMs
  closeSync(file)
  return tookMs
}
