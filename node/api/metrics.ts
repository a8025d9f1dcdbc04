/**
 * What /metrics tells, read from the views when it is scraped. Names of Alys stay where they mean the same
 * (`alys_…`), the rest is ours (`millrace_…`). Totals of Alys that are not named `…_total` are gauges here.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { registerActorMetrics } from '../adapters/system/index.ts'
import type { CallReport } from './dispatch.ts'
import { checkHealth } from './health.ts'
import type { ApiPorts, ReserveSnapshot } from './port.ts'

const SAT_PER_BTC = 100_000_000

/** A gauge, or a counter whose total somebody else keeps. */
type Reading = (
  set: (value: number, labels?: Record<string, string>) => void,
) => void | Promise<void>

export function registerNodeMetrics(registry: Registry, ports: ApiPorts): void {
  const gauge = (name: string, help: string, labelNames: string[], read: Reading) => {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        this.reset()
        await read((value, labels) => this.set(labels ?? {}, value))
      },
    })
  }
  const counter = (name: string, help: string, labelNames: string[], read: Reading) => {
    new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        this.reset()
        await read((value, labels) => this.inc(labels ?? {}, value))
      },
    })
  }
  chainMetrics(ports, gauge, counter)
  pegMetrics(ports, gauge, counter)
  registerActorMetrics(registry, () => ports.system.actors())
  networkMetrics(ports, gauge)
}

type Register = (name: string, help: string, labelNames: string[], read: Reading) => void

function chainMetrics({ chain, pool }: ApiPorts, gauge: Register, counter: Register): void {
  const height: Reading = async (set) => {
    set((await chain.head())?.block.header.height ?? 0)
  }
  gauge('alys_chain_block_height', 'Height of the committed head', [], height)
  gauge('alys_chain_last_finalized_block', 'Height of the last final block: the head', [], height)
  gauge('alys_aura_current_slot', 'Slot of the clock', [], (set) => set(chain.consensus().slot))
  counter('alys_aura_produced_blocks_total', 'Committed blocks of this author', [], (set) =>
    set(chain.consensus().producedTotal),
  )
  counter('millrace_view_changes_total', 'Views above 0 entered', [], (set) =>
    set(chain.consensus().viewChangesTotal),
  )
  gauge('millrace_consensus_height', 'Height that is being decided', [], (set) =>
    set(chain.consensus().height),
  )
  gauge('millrace_consensus_view', 'View of that height', [], (set) => set(chain.consensus().view))
  gauge('millrace_evidence_waiting', 'Convictions of validators that wait for a block', [], (set) =>
    set(chain.evidence(0, 0).waitingTotal),
  )
  gauge('millrace_mempool_transactions', 'Transactions that wait', ['state'], (set) => {
    const { pending, queued } = pool.status()
    set(pending, { state: 'pending' })
    set(queued, { state: 'queued' })
  })
  gauge('millrace_mempool_bytes', 'Their size', [], (set) => set(pool.status().bytes))
}

function pegMetrics({ peg, bitcoin }: ApiPorts, gauge: Register, counter: Register): void {
  const ledger =
    (pick: (reserve: ReserveSnapshot) => bigint): Reading =>
    async (set) =>
      set(Number(pick(await peg.reserve())))
  gauge(
    'millrace_peg_reserve_sat',
    'Federation outputs in the ledger',
    [],
    ledger((r) => r.reserveSat),
  )
  gauge(
    'millrace_peg_supply_sat',
    'Mints less burns',
    [],
    ledger((r) => r.supplySat),
  )
  gauge(
    'millrace_peg_in_flight_sat',
    'Owed, not yet moved',
    [],
    ledger((r) => r.inFlightSat),
  )
  gauge(
    'millrace_peg_deficit_sat',
    'Deficit rows',
    [],
    ledger((r) => r.deficitSat),
  )
  gauge(
    'millrace_peg_imbalance_sat',
    'reserve - supply - in flight; anything but 0 is an alarm',
    [],
    ledger((r) => r.reserveSat - r.supplySat - r.inFlightSat),
  )
  gauge(
    'millrace_peg_oldest_output_percent',
    'Age of the oldest output, of its recovery delay; 60 is an alarm',
    [],
    async (set) => set((await peg.reserve()).oldestOutput?.percent ?? 0),
  )
  gauge('millrace_peg_paused', 'Nothing is credited, or paid: 1', ['direction'], async (set) => {
    const { pegInsPaused, pegOutsPaused } = await peg.reserve()
    set(Number(pegInsPaused), { direction: 'in' })
    set(Number(pegOutsPaused), { direction: 'out' })
  })
  gauge('alys_chain_pegin_totals', 'Deposits credited', [], async (set) =>
    set((await peg.reserve()).totals.pegIns),
  )
  gauge('alys_chain_total_pegin_amount', 'Deposited in all, BTC', [], async (set) =>
    set(Number((await peg.reserve()).totals.pegInSat) / SAT_PER_BTC),
  )
  counter('millrace_peg_outs_total', 'Peg-outs paid', [], async (set) =>
    set((await peg.reserve()).totals.pegOuts),
  )
  gauge('millrace_bitcoin_reachable', 'Bitcoin answers: 1', [], (set) =>
    set(bitcoin().reachable ? 1 : 0),
  )
  gauge('millrace_bitcoin_endpoints', 'Endpoints by what is known of them', ['state'], (set) => {
    const { endpoints } = bitcoin()
    for (const state of ['agrees', 'differs', 'silent'] as const) {
      set(endpoints.filter((one) => one === state).length, { state })
    }
  })
  gauge('millrace_bitcoin_height', 'Tip by source', ['source'], (set) => {
    const { height, inBlockHeight } = bitcoin()
    if (height !== undefined) set(height, { source: 'node' })
    set(inBlockHeight, { source: 'blocks' })
  })
  gauge('millrace_bitcoin_tip_age_seconds', "Age of the tip's time", [], (set) => {
    const { tipAgeMs } = bitcoin()
    if (tipAgeMs !== undefined) set(tipAgeMs / 1_000)
  })
}

function networkMetrics(ports: ApiPorts, gauge: Register): void {
  gauge('alys_chain_discovered_peers', 'Connected peers', [], (set) => set(ports.peers().length))
  gauge('millrace_members_connected', 'Members with an open stream', [], (set) =>
    set(ports.federation().members.filter(({ connected }) => connected).length),
  )
  gauge('millrace_sync_behind_blocks', 'Blocks known to be missing', [], (set) => {
    const { currentHeight, targetHeight } = ports.sync()
    set(Math.max(0, targetHeight - currentHeight))
  })
  gauge('millrace_ready', 'Checks of /ready that pass: 1', ['check'], (set) => {
    for (const { name, ok } of checkHealth(ports).checks) set(ok ? 1 : 0, { check: name })
  })
}

/** Counts JSON-RPC calls under Alys's names. */
export function createCallMetrics(registry: Registry): (report: CallReport) => void {
  const calls = new Counter({
    name: 'alys_rpc_requests_total',
    help: 'JSON-RPC calls',
    labelNames: ['method', 'outcome'],
    registers: [registry],
  })
  const durations = new Histogram({
    name: 'alys_rpc_request_duration_seconds',
    help: 'Time to answer',
    labelNames: ['method'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [registry],
  })
  return ({ method, outcome, tookMs }) => {
    calls.inc({ method, outcome })
    if (outcome === 'ok') durations.observe({ method }, tookMs / 1_000)
  }
}
