/**
 * The EVM of the chain (protocol §6): blocks are built and checked on flat state with one Merkle Patricia root per block.
 * `Engine` holds candidates over a durable head and is what the engine's worker runs; `ChainReads`, `StateReads` and the
 * calls of `view/` answer the API on committed state. Proposer and validator run the same code, and whatever the
 * interpreter itself cannot decide is unknown, never invalid. Adapters give it the store (`EngineStore`, `BlockSource`)
 * and the clock. Specs: the yellow paper and the EIPs up to Osaka, without blobs.
 */
import type { Engine, EngineStore, OpenReply } from './engine.ts'
import type { EvmGenesis } from './genesis.ts'
import type { Precompiles } from './precompiles.ts'
import type { Calls } from './view/call.ts'

export * from './account.ts'
export * from './bridge-logs.ts'
export { evmGenesisOf } from './chain-genesis.ts'
export type * from './engine.ts'
export type {
  BlockOutcome,
  BuildAttributes,
  Dropped,
  DropReason,
  ExecutedBlock,
  ParentHeader,
  RawTransaction,
} from './executor.ts'
export { foreignBlockFault, foreignBlockOutcome, storedOutcome } from './foreign-block.ts'
export * from './gas.ts'
export { type EvmGenesis, genesisBlock } from './genesis.ts'
export { gethGenesis } from './geth-genesis.ts'
export {
  type BodyRoots,
  bodyRoots,
  encodeHeader,
  hashPayload,
  isSamePayload,
} from './header.ts'
export { keccak256 } from './keccak.ts'
export * from './limits.ts'
export { encodePast, findPast, PAST_BLOCKS, pastBelow, pastView, type Replaced } from './past.ts'
export * from './pool-transaction.ts'
export * from './receipt.ts'
export * from './rejection.ts'
export { addressOf, recoverSender } from './sender.ts'
export {
  EMPTY_BYTES,
  EMPTY_DELTA,
  overlayView,
  type StateDelta,
  type StateView,
  sealState,
} from './state.ts'
export { decodeStoredPayload, encodeStoredPayload } from './stored-block.ts'
export * from './system-contracts.ts'
export * from './transaction.ts'
export type * from './view/call.ts'
export * from './view/chain-reads.ts'
export { LogMatcher } from './view/log-matcher.ts'
export * from './view/proof.ts'
export type * from './view/questions.ts'
export * from './view/state-reads.ts'
export * from './view/verify.ts'

/**
 * Opens the engine on a store, which gets block 0 when it is empty and is refused when its block 0 is another one. The
 * interpreter is loaded here and not before: threads that only read blocks do without its 30 MB.
 */
export async function openEngineCore(
  store: EngineStore,
  genesis: EvmGenesis,
  now: () => number,
): Promise<{ readonly engine: Engine; readonly reply: OpenReply }> {
  return (await loadEngineCore(genesis.chainId)).open(store, genesis, now)
}

/**
 * An interpreter with the native code of its precompiles, in memory: opening waits for nothing but the store. It is that of every engine opened
 * with it: one at a time.
 */
export interface EngineCore {
  readonly open: typeof openEngineCore
}

/** The native code of the precompiles: what several interpreters of one thread may share. */
export async function loadPrecompiles(): Promise<Precompiles> {
  const [{ OSAKA }, { createPrecompiles }] = await Promise.all([
    import('./fork.ts'),
    import('./precompiles.ts'),
  ])
  return createPrecompiles(OSAKA)
}

/** Loads the interpreter ahead of need. */
export async function loadEngineCore(
  chainId: number,
  precompiles?: Promise<Precompiles>,
): Promise<EngineCore> {
  const [{ Engine }, { createChainEvm }] = await Promise.all([
    import('./engine.ts'),
    import('./chain.ts'),
  ])
  const chain = await createChainEvm(chainId, undefined, precompiles)
  return { open: (store, genesis, now) => Engine.open(store, genesis, now, chain) }
}

/** Read-only calls with an interpreter of their own. */
export async function loadCalls(chainId: number): Promise<Calls> {
  const { createCalls } = await import('./view/call.ts')
  return createCalls(chainId)
}
