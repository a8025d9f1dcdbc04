/**
 * The node's supervision tree: seven actors under one root, built from ports alone. The program gives real ports, the simulator
 * simulated ones; nothing below this file knows which.
 */
import {
  type BitcoinPort,
  bridgeActor,
  type DepositAddresses,
  type JoinSignatures,
} from '../actors/bridge/index.ts'
import { chainActor, type SignGuard, type ValidatorKey } from '../actors/chain/index.ts'
import { type EnginePort, engineActor, type PoolJournal } from '../actors/engine/index.ts'
import { type NetworkLimits, type NetworkPort, networkActor } from '../actors/network/index.ts'
import { type ChainStore, storageActor } from '../actors/storage/index.ts'
import { STREAM_ROWS, type StreamPort, streamActor } from '../actors/stream/index.ts'
import { type SyncLimits, syncActor } from '../actors/sync/index.ts'
import { blockHash, type CommittedBlock } from '../core/block/index.ts'
import { genesisHead } from '../core/chain/index.ts'
import type { Ledger } from '../core/ledger/index.ts'
import { type Genesis, VALID, type Verdict } from '../core/params/index.ts'
import { verifyCertificate } from '../core/pbft/index.ts'
import {
  CHANGE_DELAY,
  latestValidators,
  validatorsAt,
  validatorsHash,
} from '../core/validators/index.ts'
import { equalBytes } from '../crypto/index.ts'
import { MESSAGE_ROWS } from '../messages/index.ts'
import {
  type ChildSpec,
  childSpec,
  createSystem,
  type KernelLimits,
  type KernelPorts,
  type System,
  type TerminationReason,
} from '../supervisor/index.ts'
import { networkChecks } from './network-checks.ts'
import { createChainReader, LiveViews } from './views/index.ts'

/** Everything that the tree asks of the world. */
export interface NodePorts {
  readonly kernel: KernelPorts
  openStore(): Promise<ChainStore>
  openEngine(): Promise<EnginePort>
  /** The engine can execute a block's transactions before its slot begins. */
  readonly enginePrepares?: boolean
  /** Absent: what waits in the pool is forgotten with the process. */
  readonly poolJournal?: PoolJournal
  /** Makes the ledger again from a checkpoint, in a chain store that nobody has open; absent: there are none. */
  repairStore?(): Promise<void>
  /** Puts the engine's durable state, which nobody has open then, back to a checkpoint or to genesis. */
  rollbackEngine(): Promise<void>
  /** The engine's part of blocks below a height goes, a bounded part of it at once. */
  pruneEngine?(below: number): Promise<void>
  openGuard(committedHeight: number): Promise<SignGuard>
  readonly bitcoin: BitcoinPort
  /** Absent: only deposits with an OP_RETURN are found. */
  readonly depositAddresses?: DepositAddresses
  /** Absent: members' signatures are put together on the node's own loop. */
  readonly joinSignatures?: JoinSignatures
  readonly network: NetworkPort
  readonly stream: StreamPort
}

export interface NodeSettings {
  readonly genesis: Genesis
  /** Absent: the node follows and votes for nothing. */
  readonly validator?: ValidatorKey
  /** Multiaddrs. */
  readonly listen: readonly string[]
  readonly staticPeers: readonly string[]
  /** Blocks that are kept with their bodies; absent: all (PR-5). */
  readonly keepBlocks?: number
  /** How often the bridge looks at Bitcoin. */
  readonly bitcoinPollMs: number
  /** Fee caps below this are not kept in the pool. */
  readonly minFeeCapWei: bigint
  /** Transactions that may wait; absent: as many as the pool's own bound. */
  readonly maxPoolTransactions?: number
  /** The halt that an operator has looked at. */
  readonly resumeHalt?: string
  /** Other bounds than the rooms' own. */
  readonly tuning?: NodeTuning
  readonly onTerminated?: (reason: TerminationReason) => void
}

export interface NodeTuning {
  /** Waiting messages per priority class, of every actor. */
  readonly mailboxCapacity?: number
  readonly kernel?: Partial<KernelLimits>
  readonly network?: Partial<NetworkLimits>
  readonly sync?: Partial<SyncLimits>
  /** Stands between the kernel and each actor: whoever measures looks at what it is told. */
  readonly wrap?: (child: ChildSpec) => ChildSpec
}

export interface NodeTree {
  readonly system: System
  readonly live: LiveViews
  /** Undefined until Storage opened it. */
  store(): ChainStore | undefined
}

/** A large state is made again from its checkpoint, key by key: some 20,000 a second. */
const RECOVERY_MS = 1_800_000

export function createNodeTree(ports: NodePorts, settings: NodeSettings): NodeTree {
  const { genesis, validator, tuning = {} } = settings
  const { kernel } = ports
  const self = validator && Buffer.from(validator.blsKey).toString('hex')
  const live = new LiveViews(self)
  let store: ChainStore | undefined
  const chain = createChainReader({
    genesis,
    live,
    clock: kernel.clock,
    store: () => store,
    self: validator?.blsKey,
  })
  const origin = genesisHead(genesis)
  const ledger = () => (live.head?.head ?? origin).ledger
  const network = networkActor({
    genesisHash: genesis.hash,
    listen: settings.listen,
    staticPeers: settings.staticPeers,
    head: () => {
      const head = live.head?.head ?? origin
      return { height: head.header.height, hash: head.hash }
    },
    ...(tuning.network && { limits: tuning.network }),
    checks: networkChecks(genesis, ledger),
  })
  const sync = syncActor({
    ...(tuning.sync && { limits: tuning.sync }),
    verifyCommitted: (_previous, committed) => checkCommitted(genesis, ledger(), committed),
  })
  const system = createSystem({
    ports: kernel,
    registry: [...MESSAGE_ROWS, ...STREAM_ROWS],
    limits: { recoveryMs: RECOVERY_MS, ...tuning.kernel },
    children: [
      childSpec(
        storageActor,
        {
          metrics: kernel.metrics,
          ...(settings.keepBlocks !== undefined && { keepBlocks: settings.keepBlocks }),
          ...(ports.pruneEngine && {
            pruneOthers: async (below: number) => ports.pruneEngine?.(below),
          }),
          ...(ports.repairStore && { repair: async () => ports.repairStore?.() }),
          async open() {
            store = await ports.openStore()
            return store
          },
        },
        { critical: true },
      ),
      childSpec(
        engineActor,
        {
          metrics: kernel.metrics,
          open: () => ports.openEngine(),
          rollback: () => ports.rollbackEngine(),
          chainId: genesis.execution.chainId,
          minFeeCapWei: settings.minFeeCapWei,
          ...(settings.maxPoolTransactions !== undefined && {
            maxPoolTransactions: settings.maxPoolTransactions,
          }),
          views: live,
          ...(ports.poolJournal && { journal: ports.poolJournal }),
        },
        { dependsOn: ['storage'], critical: true },
      ),
      childSpec(
        chainActor(),
        {
          genesis,
          views: live,
          openGuard: (committedHeight: number) => ports.openGuard(committedHeight),
          metrics: kernel.metrics,
          ...(validator && { validator }),
          ...(ports.enginePrepares && { preparesBlocks: true }),
          ...(settings.resumeHalt !== undefined && { resumeHalt: settings.resumeHalt }),
        },
        { dependsOn: ['storage', 'engine'], critical: true },
      ),
      childSpec(
        bridgeActor,
        {
          metrics: kernel.metrics,
          genesis,
          bitcoin: ports.bitcoin,
          views: live,
          pollMs: settings.bitcoinPollMs,
          ...(ports.depositAddresses && { depositAddresses: ports.depositAddresses }),
          ...(ports.joinSignatures && { joinSignatures: ports.joinSignatures }),
          ...(validator && { validatorKey: validator.blsKey }),
        },
        { dependsOn: ['storage'] },
      ),
      childSpec(sync, { metrics: kernel.metrics }, { dependsOn: ['storage'] }),
      childSpec(network, { network: ports.network, metrics: kernel.metrics }),
      childSpec(
        streamActor({
          genesisHash: genesis.hash,
          memberCount: genesis.members.length,
          memberThreshold: genesis.memberThreshold,
        }),
        { stream: ports.stream, chain, metrics: kernel.metrics },
      ),
    ]
      .map((child) => resize(child, tuning.mailboxCapacity))
      .map((child) => tuning.wrap?.(child) ?? child),
    ...(settings.onTerminated && { onTerminated: settings.onTerminated }),
  })
  return { system, live, store: () => store }
}

/**
 * What can be seen before the blocks below are here: the certificate of a set that this node knows. A later set's is checked as its
 * block is imported, by the set that the blocks before it give.
 */
function checkCommitted(
  genesis: Genesis,
  ledger: Ledger,
  { block, certificate }: CommittedBlock,
): Verdict {
  const { header } = block
  if (
    certificate.height !== header.height ||
    !equalBytes(certificate.blockHash, blockHash(header))
  ) {
    return { kind: 'invalid', code: 'CertificateOfAnotherBlock' }
  }
  const isKnown = header.height <= ledger.state.height + CHANGE_DELAY
  const set = isKnown ? validatorsAt(ledger, header.height) : latestValidators(ledger)
  const { hash, signatures } = genesis
  return isKnown || equalBytes(validatorsHash(genesis, set), header.validatorsHash)
    ? verifyCertificate(signatures, hash, 'commit', set, certificate)
    : VALID
}

function resize(child: ChildSpec, capacity: number | undefined): ChildSpec {
  return capacity === undefined
    ? child
    : { ...child, actor: { ...child.actor, mailbox: { capacity } } }
}
