/** Which validators decide a height: a look into the ledger. */
import { hashValidators, MAX_VALIDATORS } from '../block/index.ts'
import { heightKey, type Ledger, rowOf, type ValidatorsRow } from '../ledger/index.ts'
import type { Genesis, Validator } from '../params/index.ts'

/** Blocks between a change and its first effect: what block h decides acts at h + 2 (1.4). */
export const CHANGE_DELAY = 2

/**
 * validators(h) for any height up to the ledger's own + 2: the row with the highest activation height not above it. Rows are
 * linked backwards, so a look at the present takes one or two steps.
 */
export function validatorsAt(ledger: Ledger, height: number): readonly Validator[] {
  return validatorsRowAt(ledger, height).row.validators
}

/** The row of validators(h) and its key, the height from which on it acts. */
export function validatorsRowAt(
  ledger: Ledger,
  height: number,
): { readonly activation: number; readonly row: ValidatorsRow } {
  let activation = ledger.state.validatorsHeight
  let row = rowAt(ledger, activation)
  while (activation > height && activation > 0) {
    activation = row.previous
    row = rowAt(ledger, activation)
  }
  return { activation, row }
}

function rowAt(ledger: Ledger, activation: number): ValidatorsRow {
  const row = rowOf(ledger, 'validators', heightKey(activation))
  if (row === undefined) throw new Error(`no validators since ${activation}`)
  return row
}

/** What a header's validatorsHash and nextValidatorsHash are. */
export function validatorsHash({ derived }: Genesis, validators: readonly Validator[]): Uint8Array {
  return derived.of(validators, 'hash', () => hashValidators(validators))
}

/** The sequence that the next change must have; the genesis set is number 0. */
export function nextSequence(ledger: Ledger): number {
  return rowAt(ledger, ledger.state.validatorsHeight).sequence + 1
}

/**
 * How many fee rates the head of this ledger keeps: with each block one more, but never above 2n + 1 for the n of the next height
 * (4.5). It follows from the rows, so that a node that restarts keeps as many as one that did not.
 */
export function feeRatesKept(ledger: Ledger): number {
  const { height } = ledger.state
  let kept = height + 1
  let { activation, row } = validatorsRowAt(ledger, height + 1)
  /** The last head before whose next height the row acted. */
  let last = height
  for (;;) {
    kept = Math.min(kept, feeRateWindow(row.validators.length) + height - last)
    if (activation === 0 || height - last > feeRateWindow(MAX_VALIDATORS)) return kept
    last = activation - 2
    activation = row.previous
    row = rowAt(ledger, activation)
  }
}

/** Headers whose fee rates enter the reference rate: the last 2n + 1. */
export function feeRateWindow(validators: number): number {
  return 2 * validators + 1
}
