/**
 * What can be believed of a ledger that lies on a disk: that it is the one after a block which the validators of this chain decided
 * (protocol §1.4, §5.6). Who may write there can bring validators of his own, so the ledger's rows say only at which heights they changed;
 * who they were follows from the genesis file, by one header for each change and one for the end.
 */
import { bigintFromBytes, equalBytes } from '../../crypto/index.ts'
import { blockHash, hashValidators } from '../block/index.ts'
import { type Ledger, ledgerRoot } from '../ledger/index.ts'
import { err, type Genesis, ok, type Result, type Validator } from '../params/index.ts'
import { type CertifiedHeader, followHeader, type Trusted, trustGenesis } from './follow.ts'

type Certified = Pick<CertifiedHeader, 'header' | 'certificate'>

export interface StoredChain {
  readonly ledger: Ledger
  /** The block that the ledger is said to be after. */
  readonly head: Certified
  /** What is kept of a lower height. */
  readonly certifiedAt: (height: number) => Certified | undefined
}

/** A block of the chain that somebody knows from elsewhere than this disk: what was signed below it is of no account. */
export interface KnownBlock {
  readonly height: number
  readonly hash: Uint8Array
}

export interface StoredFault {
  readonly code: /** The rows do not have the root that the head names. */
    | 'RowsWrong'
    /** Of a height at which the validators changed, or of the block that was named, nothing is kept. */
    | 'HeaderMissing'
    /** A header has no certificate of those who decided its height. */
    | 'NotDecided'
    /** It is another chain than that of the block that was named. */
    | 'NotNamed'
  readonly detail: string
}

/** Why a stored ledger is not one of this chain; undefined when it is. Its work: an aggregate per change of the validators. */
export function storedLedgerFault(
  genesis: Genesis,
  chain: StoredChain,
  known?: KnownBlock,
): StoredFault | undefined {
  const { head, ledger } = chain
  const { height: top, ledgerRoot: root } = head.header
  if (!equalBytes(ledgerRoot(ledger), root)) {
    return { code: 'RowsWrong', detail: `the rows do not have the root of block ${top}` }
  }
  const sets = validatorsByHeight(ledger)
  const begun = known === undefined ? ok(trustGenesis(genesis)) : trustKnown(chain, sets, known)
  if (!begun.ok) return begun.error
  let trusted = begun.value
  for (const height of headersToFollow(sets, trusted.header.height, top)) {
    const certified = height === top ? head : chain.certifiedAt(height)
    if (certified === undefined) {
      const detail = `the header of block ${height} is missing, which announced other validators`
      return { code: 'HeaderMissing', detail }
    }
    const shown = sets.get(height + 1)
    const announced = shown && { nextValidators: shown }
    const step = followHeader(genesis, trusted, { ...certified, ...announced })
    if (!step.ok) {
      const { code } = step.error
      const detail = `block ${height} was not decided by the validators of this chain: ${code}`
      return { code: 'NotDecided', detail }
    }
    trusted = step.value
  }
  return undefined
}

/** The sets by the height from which each acts, ascending; no link between the rows is believed. */
function validatorsByHeight(ledger: Ledger): ReadonlyMap<number, readonly Validator[]> {
  const rows = [...ledger.sets.validators.entries()].map(
    ([key, { validators }]) => [Number(bigintFromBytes(key)), validators] as const,
  )
  return new Map(rows.sort(([left], [right]) => left - right))
}

/** Of heights above `from` those that announced another set, and `top`. */
function headersToFollow(
  sets: ReadonlyMap<number, unknown>,
  from: number,
  top: number,
): readonly number[] {
  const announced = [...sets.keys()].map((acts) => acts - 1)
  const between = announced.filter((height) => height > from && height < top)
  return from < top ? [...between, top] : []
}

function trustKnown(
  { certifiedAt, head }: StoredChain,
  sets: ReadonlyMap<number, readonly Validator[]>,
  { hash, height }: KnownBlock,
): Result<Trusted, StoredFault> {
  const refuse = (code: StoredFault['code'], detail: string): Result<never, StoredFault> =>
    err({ code, detail })
  const top = head.header.height
  if (height > top)
    return refuse('NotNamed', `the block that you named, ${height}, is above ${top}`)
  const header = height === top ? head.header : certifiedAt(height)?.header
  if (header === undefined) {
    return refuse('HeaderMissing', `nothing is kept of block ${height}, which you named`)
  }
  if (!equalBytes(blockHash(header), hash)) {
    return refuse('NotNamed', `block ${height} is not the one that you named`)
  }
  const acting = [...sets].findLast(([acts]) => acts <= height + 1)?.[1] ?? []
  if (!equalBytes(hashValidators(acting), header.nextValidatorsHash)) {
    return refuse('NotNamed', `after block ${height} the rows have other validators than it names`)
  }
  return ok({ header, hash, nextValidators: acting })
}
