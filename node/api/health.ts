/** Whether this node can do its work now: what /ready, the status page and metrics say. */
import type { ApiPorts } from './port.ts'

export interface HealthCheck {
  readonly name: 'synced' | 'quorum' | 'progress' | 'bitcoin' | 'storage' | 'actors'
  readonly ok: boolean
  readonly detail: string
}

export interface Health {
  /** `syncing`: all is well, but blocks are still missing. */
  readonly status: 'ready' | 'syncing' | 'unready'
  readonly checks: readonly HealthCheck[]
}

/** With few validators a view or two more is no sign of trouble. */
const LEAST_STANDING_VIEW = 4
const HOUR_MS = 3_600_000
/** N12: Bitcoin goes that long without a block once in centuries, an endpoint that lost its peers every time. */
const STALE_BITCOIN_MS = 3 * HOUR_MS

/** HTTP status of /ready. */
export const READY_STATUS: Readonly<Record<Health['status'], number>> = {
  ready: 200,
  syncing: 206,
  unready: 503,
}

export function checkHealth(ports: ApiPorts): Health {
  const checks = [
    synced(ports),
    quorum(ports),
    progress(ports),
    bitcoin(ports),
    storage(ports),
    actors(ports),
  ] as const
  const failed = checks.filter((check) => !check.ok)
  const status =
    failed.length === 0
      ? 'ready'
      : failed.every((check) => check.name === 'synced')
        ? 'syncing'
        : 'unready'
  return { status, checks }
}

function synced(ports: ApiPorts): HealthCheck {
  const { currentHeight, targetHeight, state } = ports.sync()
  const behind = targetHeight - currentHeight
  // One block behind is what every node is between a commit of others and its own.
  const ok = behind <= 1 && state !== 'Stalled'
  return { name: 'synced', ok, detail: ok ? 'in sync' : `${Math.max(behind, 0)} blocks behind` }
}

/**
 * Connected validators and this node together can commit: floor(2P/3) + 1 of the power. A peer of which it is not known
 * which validator it is counts as an average one.
 */
function quorum(ports: ApiPorts): HealthCheck {
  const validators = ports.chain.validators()
  const peers = ports.peers()
  const reached = new Set(peers.flatMap((peer) => peer.validator ?? []))
  let total = 0
  let connected = 0
  for (const [index, { power, self }] of validators.entries()) {
    total += power
    if (self || reached.has(index)) connected += power
  }
  const unnamed = peers.filter((peer) => peer.validator === undefined).length
  const average = validators.length === 0 ? 0 : total / validators.length
  connected = Math.min(total, Math.round(connected + unnamed * average))
  const needed = Math.floor((2 * total) / 3) + 1
  const detail = `${connected} of ${total} voting power connected, ${needed} needed`
  return { name: 'quorum', ok: connected >= needed, detail }
}

/** Every validator had its turn twice and none brought a block: the chain stands. */
function progress(ports: ApiPorts): HealthCheck {
  const { halt, height, view } = ports.chain.consensus()
  if (halt !== undefined) {
    return { name: 'progress', ok: false, detail: `halted (${halt.id}): ${halt.reason}` }
  }
  const ok = view < Math.max(LEAST_STANDING_VIEW, 2 * ports.chain.validators().length)
  const detail = ok ? 'blocks are made' : `height ${height} is in view ${view}`
  return { name: 'progress', ok, detail }
}

function bitcoin(ports: ApiPorts): HealthCheck {
  const { code, height, network, reachable, tipAgeMs = 0 } = ports.bitcoin()
  if (!reachable) {
    const detail = code === undefined ? 'does not answer' : `no view of it: ${code}`
    return { name: 'bitcoin', ok: false, detail }
  }
  const isStale = network !== 'regtest' && tipAgeMs > STALE_BITCOIN_MS
  const at = `${network} at height ${height ?? 'unknown'}`
  const detail = `${at}, but its last block that was read is ${Math.floor(tipAgeMs / HOUR_MS)} h old`
  return { name: 'bitcoin', ok: !isStale, detail: isStale ? detail : at }
}

function storage(ports: ApiPorts): HealthCheck {
  const row = ports.system.actors().find((actor) => actor.path === 'storage')
  const ok = row?.life === 'Running' && !row.degraded
  return { name: 'storage', ok, detail: row === undefined ? 'not started' : row.life }
}

function actors(ports: ApiPorts): HealthCheck {
  const down = ports.system
    .actors()
    .filter((actor) => !actor.path.includes('/') && actor.life !== 'Running')
  const detail = down.length === 0 ? 'all running' : down.map((actor) => actor.path).join(', ')
  return { name: 'actors', ok: down.length === 0, detail }
}
