/** What the API shows and takes, put together from the tree, its views and the engine's reads. */
import type { DepositAddresses } from '../actors/bridge/index.ts'
import type { Genesis } from '../core/params/index.ts'
import { requestId } from '../core/peg/index.ts'
import { validatorsAt } from '../core/validators/index.ts'
import { equalBytes, hexBytes } from '../crypto/index.ts'
import type {
  ClaimDeposits,
  GetConnectedMembers,
  GetConnectedPeers,
  GetSyncStatus,
  MemberList,
  PeerSummary,
  SubmitKeyCall,
  SubmitPegOrder,
  SubmitTransaction,
  SubmitValidatorChange,
} from '../messages/index.ts'
import type { Clock } from '../supervisor/index.ts'
import { bridgeLogs, decodeTransaction, isTransaction } from '../vm/evm/index.ts'
import type { EndpointState } from './adapters/bitcoin/index.ts'
import type { NodeEngine } from './adapters/engine/index.ts'
import {
  type ApiPorts,
  createEvmView,
  type FederationSnapshot,
  type PeerRow,
  type SyncSnapshot,
} from './api/index.ts'
import type { NodeConfig } from './config/index.ts'
import type { NodeFiles } from './files.ts'
import type { NodeTree } from './tree.ts'
import { createChainView, createPegView } from './views/index.ts'

const VERSION = '0.1.0'
const ASK_MS = 2_000

/** Peers, members and sync as the actors last answered. */
export interface Surroundings {
  readonly peers: readonly PeerSummary[]
  readonly members: MemberList['payload']['members']
  readonly sync: SyncSnapshot
  /** In the order of the configuration. */
  readonly bitcoinEndpoints: readonly EndpointState[]
  refresh(): Promise<void>
}

export function createSurroundings(
  tree: NodeTree,
  genesis: Genesis,
  bitcoinEndpoints: readonly EndpointState[],
): Surroundings {
  const state = {
    bitcoinEndpoints,
    peers: [] as readonly PeerSummary[],
    members: genesis.members.map((_, index) => ({
      index,
      connected: false,
      lastSeenMs: 0,
    })) as MemberList['payload']['members'],
    sync: { state: 'Idle', startHeight: 0, currentHeight: 0, targetHeight: 0 } as SyncSnapshot,
    async refresh() {
      const { system, live } = tree
      const options = { timeoutMs: ASK_MS, sender: 'api' }
      const [peers, members, sync] = await Promise.all([
        system.ask<GetConnectedPeers>(
          'network',
          { type: 'network.GetConnectedPeers', payload: {} },
          options,
        ),
        system.ask<GetConnectedMembers>(
          'stream',
          { type: 'stream.GetConnectedMembers', payload: {} },
          options,
        ),
        system.ask<GetSyncStatus>('sync', { type: 'sync.GetSyncStatus', payload: {} }, options),
      ])
      if (peers.ok) state.peers = peers.value.payload.peers
      if (members.ok) state.members = members.value.payload.members
      if (sync.ok) {
        const { peers: _, ...snapshot } = sync.value.payload
        const currentHeight = live.head?.head.header.height ?? 0
        state.sync = { ...snapshot, currentHeight }
      }
      live.changed()
    },
  }
  return state
}

/** The API's ports on top of a running tree. `engine` is asked each time: the actor may have opened another one. */
export function apiPorts(
  options: NodeConfig,
  tree: NodeTree,
  genesis: Genesis,
  engine: () => NodeEngine,
  surroundings: Surroundings,
  setLogLevel: ApiPorts['admin']['setLogLevel'],
  clock: Clock,
  files: NodeFiles,
  depositAddresses: DepositAddresses,
): ApiPorts {
  const { live, system } = tree
  const peg = createPegView({
    genesis,
    live,
    depositAddresses,
    claim: (payload) =>
      system.ask<ClaimDeposits>(
        'bridge',
        { type: 'bridge.ClaimDeposits', payload },
        { timeoutMs: 20_000, sender: 'api' },
      ),
    burnTransaction(height, logIndex) {
      for (const receipt of engine().blocks.receiptsAt(height)) {
        if (receipt.logs.some((log) => log.logIndex === logIndex)) {
          return receipt.transaction.transaction.hash
        }
      }
      return undefined
    },
    requestsOf(hash) {
      const receipt = engine().blocks.receipt(hash)
      if (receipt === undefined) return []
      const { blockHash, blockNumber } = receipt.transaction
      const inBlock = engine().blocks.receiptsAt(blockNumber)
      const own = new Set(receipt.logs.map(({ logIndex }) => logIndex))
      const receipts = inBlock.map(({ status, cumulativeGasUsed, logs, transaction }) => ({
        type: transaction.transaction.type,
        status,
        cumulativeGasUsed,
        logs,
      }))
      return bridgeLogs(receipts)
        .burns.filter(({ logIndex }) => own.has(logIndex))
        .map(({ logIndex }) => requestId(genesis, blockHash, logIndex))
    },
  })
  return {
    node: {
      name: options.name,
      version: VERSION,
      chain: genesis.file.name,
      genesisHash: genesis.hash,
      startedAtMs: clock.nowMs(),
      notices:
        genesis.params.anchorGate === 'off'
          ? [
              'Development chain: no merged mining, the anchor gate is off and peg-outs do not wait for work.',
            ]
          : [],
      params: genesis.file.params,
    },
    chain: createChainView({
      genesis,
      live,
      clock,
      store: () => tree.store(),
      self: files.validator?.blsKey,
    }),
    evm: createEvmView(genesis.execution.chainId, engine, clock),
    pool: poolView(tree, clock),
    peg,
    system: { actors: () => system.snapshot() },
    admin: { setLogLevel },
    federation(): FederationSnapshot {
      return {
        epoch: live.head?.head.ledger.state.epoch ?? 0,
        threshold: genesis.memberThreshold,
        address: peg.federationAddress(),
        members: surroundings.members.map(({ index, connected, lastSeenMs }) => ({
          index,
          key: genesis.file.members[index]?.schnorrKey ?? '',
          connected,
          ...(lastSeenMs > 0 && { lastSeenMs }),
        })),
      }
    },
    peers: (): PeerRow[] =>
      surroundings.peers.map(({ peer, height, inbound, score, validator: key }) => {
        const ledger = live.head?.head.ledger
        const set = ledger ? validatorsAt(ledger, ledger.state.height + 1) : genesis.validators
        const validator = set.findIndex(
          ({ blsKey }) => key !== undefined && equalBytes(blsKey, key),
        )
        return { id: peer, inbound, height, score, ...(validator >= 0 && { validator }) }
      }),
    sync: () => surroundings.sync,
    bitcoin: () => ({
      network: genesis.bitcoin.network,
      reachable: live.bitcoin.reachable,
      endpoints: surroundings.bitcoinEndpoints,
      inBlockHeight: live.head?.head.ledger.state.tipHeight ?? genesis.bitcoin.checkpoint.height,
      ...(live.bitcoin.height !== undefined && { height: live.bitcoin.height }),
      ...(live.bitcoin.tipTimeMs !== undefined && {
        tipAgeMs: clock.nowMs() - live.bitcoin.tipTimeMs,
      }),
      ...(live.bitcoin.code !== undefined && { code: live.bitcoin.code }),
      ...(live.bitcoin.feeRateSatPerKvb !== undefined && {
        feeRateSatPerKvb: live.bitcoin.feeRateSatPerKvb,
      }),
    }),
    async submitValidatorChange(change) {
      const result = await system.ask<SubmitValidatorChange>(
        'chain',
        { type: 'chain.SubmitValidatorChange', payload: { change } },
        { timeoutMs: 10_000, sender: 'api' },
      )
      if (!result.ok) return { ok: false, error: { code: result.error.code } }
      return result.value.type === 'chain.ValidatorChangeAccepted'
        ? { ok: true, ...result.value.payload }
        : { ok: false, error: result.value.payload }
    },
    async submitPegOrder(order) {
      const result = await system.ask<SubmitPegOrder>(
        'chain',
        { type: 'chain.SubmitPegOrder', payload: { order } },
        { timeoutMs: 10_000, sender: 'api' },
      )
      if (!result.ok) return { ok: false, error: { code: result.error.code } }
      return result.value.type === 'chain.PegOrderAccepted'
        ? { ok: true, ...result.value.payload }
        : { ok: false, error: result.value.payload }
    },
    async submitKeyCall(item) {
      const result = await system.ask<SubmitKeyCall>(
        'bridge',
        { type: 'bridge.SubmitKeyCall', payload: { item } },
        { timeoutMs: 10_000, sender: 'api' },
      )
      if (!result.ok) return { ok: false, error: { code: result.error.code } }
      return result.value.type === 'bridge.KeyCallTaken'
        ? { ok: true, ...result.value.payload }
        : { ok: false, error: result.value.payload }
    },
    async submitTransaction(raw) {
      const result = await system.ask<SubmitTransaction>(
        'engine',
        { type: 'engine.SubmitTransaction', payload: { raw } },
        { timeoutMs: 10_000, sender: 'api' },
      )
      if (!result.ok) {
        return { ok: false, error: { code: result.error.code, reason: 'the engine is busy' } }
      }
      return result.value.type === 'engine.TransactionAccepted'
        ? { ok: true, hash: result.value.payload.hash }
        : { ok: false, error: result.value.payload }
    },
    onPendingTransactions: (listener) => live.onAdded(listener),
    onChange: (listener) => live.onChange(listener),
  }
}

function poolView(tree: NodeTree, clock: Clock): ApiPorts['pool'] {
  const pool = () => tree.live.pool?.pool
  return {
    standing(hash) {
      const { live } = tree
      const found = live.pool?.pool.get(hash)
      if (live.pool === undefined || found === undefined) return pool()?.endOf(hash)
      for (const [blockHash, { transactions }] of live.pool.candidates) {
        if (transactions.some((raw) => equalBytes(raw, found.raw))) {
          return { state: 'Pending', blockHash: hexBytes(blockHash) }
        }
      }
      const waitsFor = live.pool.pool.waitsFor(hash)
      return { state: 'Mempool', ...(waitsFor && { waitsFor }) }
    },
    tipFloorWei: () => pool()?.tipFloorWei(clock.nowMs()) ?? 0n,
    status() {
      const stats = pool()?.stats()
      return { pending: stats?.pending ?? 0, queued: stats?.queued ?? 0, bytes: stats?.bytes ?? 0 }
    },
    content() {
      const content = pool()?.content()
      return {
        pending: (content?.pending ?? []).flatMap(pooled),
        queued: (content?.queued ?? []).flatMap(pooled),
      }
    },
    contentFrom(sender) {
      const lane = pool()?.lane(sender) ?? []
      const end = pool()?.nextNonce(sender) ?? 0n
      return {
        pending: lane.filter(({ nonce }) => nonce < end).flatMap(pooled),
        queued: lane.filter(({ nonce }) => nonce >= end).flatMap(pooled),
      }
    },
    transaction(hash) {
      const found = pool()?.get(hash)
      return found === undefined ? undefined : pooled(found)[0]
    },
    nextNonce: (address, stateNonce) => pool()?.nextNonce(address) ?? stateNonce,
  }
}

function pooled({ raw, sender }: { readonly raw: Uint8Array; readonly sender: Uint8Array }) {
  const transaction = decodeTransaction(raw)
  return isTransaction(transaction) ? [{ transaction, sender }] : []
}
