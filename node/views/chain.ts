/** The committed chain for the API and for the members' streams, read from the store's snapshots. */

import type { PublishedHead } from '../../actors/chain/index.ts'
import type { ChainStore } from '../../actors/storage/index.ts'
import type { CertifiedBlock, ChainReader } from '../../actors/stream/index.ts'
import {
  type CommittedBlock,
  decodeCommittedBlock,
  emptyCertificate,
} from '../../core/block/index.ts'
import { genesisHead } from '../../core/chain/index.ts'
import { encodeLedgerProof, encodeRow, proveRow, rowOf } from '../../core/ledger/index.ts'
import { type CertifiedHeader, certifiedHeader } from '../../core/light/index.ts'
import type { Genesis, Validator } from '../../core/params/index.ts'
import { slotAt, viewLength, viewStart } from '../../core/pbft/index.ts'
import {
  CHANGE_DELAY,
  validatorsAt,
  validatorsHash,
  validatorsRowAt,
} from '../../core/validators/index.ts'
import { toHex } from '../../crypto/index.ts'
import type { Clock } from '../../supervisor/index.ts'
import { certifiedAt } from '../adapters/chain-store/index.ts'
import type { ChainView, ConsensusSnapshot, ValidatorRow } from '../api/index.ts'
import { createEvidenceView } from './evidence.ts'
import type { LiveViews } from './live.ts'

/** Decoded blocks that are remembered; a committed block never changes. */
const REMEMBERED_BLOCKS = 64

export interface ChainViewOptions {
  readonly genesis: Genesis
  readonly live: LiveViews
  readonly clock: Clock
  /** Undefined until Storage opened it. */
  readonly store: () => ChainStore | undefined
  readonly self: Uint8Array | undefined
}

export function createChainView(options: ChainViewOptions): ChainView {
  const { genesis, live, clock } = options
  const read = createBlockReader(options)
  const certified = createHeaderReader(options, read)
  const origin = genesisHead(genesis)
  const self = options.self === undefined ? undefined : toHex(options.self)
  const rowOfValidator = ({ blsKey, power, address }: Validator): ValidatorRow => ({
    key: blsKey,
    power,
    address,
    self: toHex(blsKey) === self,
  })
  const ledger = () => live.head?.head.ledger ?? origin.ledger
  const headHeight = () => live.head?.head.header.height ?? 0
  /** Of the height that is being decided. */
  const present = () => validatorsAt(ledger(), headHeight() + 1)
  const positionsOf = (keys: readonly string[]) => {
    const wanted = new Set(keys)
    return present().flatMap(({ blsKey }, at) => (wanted.has(toHex(blsKey)) ? [at] : []))
  }

  return {
    head: () => read(headHeight()),
    blockByHeight: (height) => (height <= headHeight() ? read(height) : undefined),
    blockByHash: (hash) => {
      const height = options.store()?.heightOf(hash)
      return height === undefined ? undefined : read(height)
    },
    certificate: (height) => certified(height)?.certificate,
    validators: () => present().map(rowOfValidator),
    validatorsAt(height) {
      if (height > headHeight() + CHANGE_DELAY) return undefined
      const { activation, row } = validatorsRowAt(ledger(), height)
      const { sequence, validators } = row
      const hash = validatorsHash(genesis, validators)
      return {
        height,
        since: activation,
        sequence,
        hash,
        validators: validators.map(rowOfValidator),
      }
    },
    certified(height) {
      if (height === 0) return { header: origin.header, certificate: emptyCertificate() }
      const found = height <= headHeight() ? certified(height) : undefined
      return found && certifiedHeader(found.header, found.certificate, ledger())
    },
    ledgerProof(set, key) {
      const { height } = ledger().state
      const row = rowOf(ledger(), set, key)
      const proof = encodeLedgerProof(proveRow(ledger(), set, key))
      return { height, proof, ...(row && { row: encodeRow(set, row) }) }
    },
    evidence: createEvidenceView(live),
    consensus(): ConsensusSnapshot {
      // A snapshot of a height that is decided tells nothing of the next one.
      const isOver =
        live.snapshot?.halted === undefined && (live.snapshot?.height ?? 1) <= headHeight()
      const snapshot = isOver ? undefined : live.snapshot
      const n = present().length
      const { slotMs } = genesis.params
      const parentSlot = live.head?.head.header.slot ?? genesis.slot
      const view = Math.max(0, snapshot?.view ?? 0)
      const votes = snapshot?.votes.find((row) => row.view === view)
      return {
        height: snapshot?.height ?? headHeight() + 1,
        view,
        slot: slotAt(clock.nowMs(), slotMs),
        slotMs,
        viewStartSlot: viewStart(parentSlot, view, n),
        viewSlots: viewLength(view, n),
        step: isOver ? 'waiting for its slot' : stepOf(snapshot),
        proposer: (parentSlot + 1 + view) % n,
        ...(snapshot?.lock && { lockedView: snapshot.lock.view }),
        ...(snapshot?.abstention && { abstention: snapshot.abstention }),
        prepares: positionsOf(votes?.prepare ?? []),
        commits: positionsOf(votes?.commit ?? []),
        viewChanges: [],
        viewChangesTotal: live.viewChanges,
        producedTotal: live.produced,
        failures: live.snapshot?.failures ?? [],
        ...(snapshot?.halt && { halt: snapshot.halt }),
      }
    },
  }
}

function stepOf(snapshot: LiveViews['snapshot']): string {
  if (snapshot === undefined) return 'starting'
  if (snapshot.halted !== undefined) return `halted: ${snapshot.halted}`
  if (snapshot.decided) return 'committing'
  if (snapshot.proposal === undefined) return 'waiting for a proposal'
  return `proposal ${snapshot.proposal.status}`
}

/** Where a member's stream reads headers and proofs. */
export function createChainReader(options: ChainViewOptions): ChainReader {
  const { genesis, live } = options
  const certified = createHeaderReader(options, createBlockReader(options))
  return {
    head() {
      const published = live.head
      if (published === undefined) return undefined
      const { header, ledger } = published.head
      const certificate = published.certificate ?? emptyCertificate()
      return { ...certifiedHeader(header, certificate, ledger), ledger }
    },
    async headers(fromHeight, count) {
      const last = Math.min(fromHeight + count - 1, live.head?.head.header.height ?? 0)
      const found: CertifiedBlock[] = []
      for (let height = fromHeight; height <= last; height++) {
        const stored = certified(height)
        if (height === 0) {
          found.push({ header: genesisHead(genesis).header, certificate: emptyCertificate() })
        } else if (stored === undefined) break
        else {
          const ledger = (live.head as PublishedHead).head.ledger
          found.push(certifiedHeader(stored.header, stored.certificate, ledger))
        }
      }
      return found
    },
    subscribe: (listener) => live.onHead(listener),
  }
}

/** Header and certificate of a committed height, whether or not its body was pruned (PR-1). */
function createHeaderReader(
  { store }: Pick<ChainViewOptions, 'store'>,
  read: (height: number) => CommittedBlock | undefined,
) {
  return (height: number): Pick<CertifiedHeader, 'header' | 'certificate'> | undefined => {
    const committed = read(height)
    if (committed !== undefined) {
      return { header: committed.block.header, certificate: committed.certificate }
    }
    const open = store()
    return height > 0 && open !== undefined ? certifiedAt(open, height) : undefined
  }
}

function createBlockReader(options: Pick<ChainViewOptions, 'store'>) {
  const remembered = new Map<number, CommittedBlock>()
  return (height: number): CommittedBlock | undefined => {
    const known = remembered.get(height)
    if (known !== undefined) return known
    const stored = height > 0 ? options.store()?.readBlock(height) : undefined
    const decoded = stored && decodeCommittedBlock(stored.bytes)
    if (!decoded?.ok) return undefined
    remembered.set(height, decoded.value)
    const [oldest] = remembered.keys()
    if (remembered.size > REMEMBERED_BLOCKS) remembered.delete(oldest as number)
    return decoded.value
  }
}
