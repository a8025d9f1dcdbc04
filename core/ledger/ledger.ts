/** The ledger as an immutable value, and the draft in which one block changes it. */
import { SparseMap, toHex } from '../../crypto/index.ts'
import {
  BATCH_STATE,
  decodeRow,
  encodeRow,
  LEDGER_SETS,
  type LedgerSet,
  OUTPUT_KIND,
  OUTPUT_STATE,
  REQUEST_STATE,
  SET_NAMES,
  type SetName,
  type SetRows,
  STATE_KEY,
  type StateRow,
} from './rows.ts'
import { COUNTS, partsOf, TOTALS } from './totals.ts'

/** A row with its key. */
export interface Entry<R> {
  readonly key: Uint8Array
  readonly row: R
}

/** The rows of a set that still matter, by hex key in the order of their entry. Derived: they can be built from the sets. */
const OPEN_ROWS = {
  /** The reserve. */
  reserve: { set: 'outputs', isOpen: (row) => row.state === OUTPUT_STATE.live },
  /** Credits without their mint. */
  mints: { set: 'outputs', isOpen: (row) => row.kind === OUTPUT_KIND.credit && !row.minted },
  /** Deposits that are owed back. */
  refundables: {
    set: 'outputs',
    isOpen: (row) =>
      row.kind === OUTPUT_KIND.refundable &&
      row.state !== OUTPUT_STATE.absent &&
      row.state !== OUTPUT_STATE.refunded,
  },
  /** Burns neither paid nor minted back. */
  requests: {
    set: 'requests',
    isOpen: (row) => row.state !== REQUEST_STATE.paid && row.state !== REQUEST_STATE.refunded,
  },
  batches: { set: 'batches', isOpen: (row) => row.state === BATCH_STATE.open },
  deficits: { set: 'deficits', isOpen: (row) => row.amountSat > 0n },
  /** Keys of all epochs: what was paid to an old one is found and spent as before (5.8). */
  keys: { set: 'keys', isOpen: () => true },
} as const satisfies { readonly [name: string]: OpenRule<LedgerSet> }

type OpenRule<S extends LedgerSet> = S extends LedgerSet
  ? { readonly set: S; readonly isOpen: (row: SetRows[S]) => boolean }
  : never

export type OpenName = keyof typeof OPEN_ROWS
export type OpenRowsOf<N extends OpenName> = ReadonlyMap<
  string,
  Entry<SetRows[(typeof OPEN_ROWS)[N]['set']]>
>
type OpenMaps = { readonly [N in OpenName]: OpenRowsOf<N> }

const OPEN_NAMES = Object.keys(OPEN_ROWS) as readonly OpenName[]

type Sets = { readonly [S in LedgerSet]: SparseMap<SetRows[S]> }

/** Credits of a day, oldest first, for the rolling limit (4.2). */
export interface CreditMark {
  readonly timestamp: number
  readonly amountSat: bigint
}

/** A row to be stored: opaque to the store. Later writes of a key replace earlier ones. */
export interface LedgerChange {
  /** Place of the set in SET_NAMES. */
  readonly set: number
  readonly key: Uint8Array
  readonly value: Uint8Array
}

interface Change {
  readonly set: SetName
  readonly key: Uint8Array
  readonly row: SetRows[SetName]
}

/** The rolling window of the daily cap, in seconds of block timestamps. */
export const DAY_SECONDS = 86_400

/** All that the peg remembers. Immutable: a candidate block's ledger shares what it does not change with its parent's. */
export interface Ledger {
  readonly state: StateRow
  readonly sets: Sets
  readonly open: OpenMaps
  readonly dayCredits: readonly CreditMark[]
  /** What the last block wrote. */
  readonly changes: ReadonlyMap<string, Change>
}

/** The row of `key`, open or closed. */
export function rowOf<S extends LedgerSet>(
  ledger: Ledger,
  set: S,
  key: Uint8Array,
): SetRows[S] | undefined {
  return (ledger.sets[set] as unknown as SparseMap<SetRows[S]>).get(key)
}

/** The rows that the block of this ledger wrote, encoded, one per key. */
export function ledgerChanges(ledger: Ledger): LedgerChange[] {
  return [...ledger.changes.values()].map(({ set, key, row }) => ({
    set: SET_NAMES.indexOf(set),
    key,
    value: encodeRow(set, row),
  }))
}

/** An empty ledger in the given state; its sums must be zero. */
export function emptyLedger(state: StateRow): Ledger {
  const sets = Object.fromEntries(
    LEDGER_SETS.map((set) => [
      set,
      SparseMap.empty<SetRows[LedgerSet]>((row) => encodeRow(set, row as SetRows[typeof set])),
    ]),
  ) as unknown as Sets
  const open = Object.fromEntries(
    OPEN_NAMES.map((name) => [name, new Map()]),
  ) as unknown as OpenMaps
  return { state, sets, open, dayCredits: [], changes: new Map() }
}

type WritableState = { -readonly [K in keyof StateRow]: StateRow[K] }

/**
 * The changes of one block over its parent's ledger. It is written to within one call of a rule and never seen outside;
 * `finish` gives the new value. Rules check before they write, so a refused item leaves the draft as it was.
 */
export class LedgerDraft {
  readonly #parent: Ledger
  readonly #sets: { [set: string]: SparseMap<SetRows[LedgerSet]> }
  readonly #open: { [name: string]: Map<string, Entry<SetRows[LedgerSet]>> } = {}
  readonly #changes: Map<string, Change>
  readonly #state: WritableState
  #dayCredits: readonly CreditMark[]

  /** `continues`: the draft goes on with the block that made `parent`. */
  constructor(parent: Ledger, continues = false) {
    this.#parent = parent
    this.#sets = { ...parent.sets } as unknown as { [set: string]: SparseMap<SetRows[LedgerSet]> }
    this.#changes = new Map(continues ? parent.changes : [])
    this.#state = { ...parent.state }
    this.#dayCredits = parent.dayCredits
  }

  /** Read-only to callers: `update` changes it. */
  get state(): StateRow {
    return this.#state
  }

  update(fields: Partial<Omit<StateRow, (typeof TOTALS)[number] | (typeof COUNTS)[number]>>): void {
    Object.assign(this.#state, fields)
  }

  get<S extends LedgerSet>(set: S, key: Uint8Array): SetRows[S] | undefined {
    return (this.#sets[set] as unknown as SparseMap<SetRows[S]>).get(key)
  }

  /** All rows of a set: for what is rare only. */
  entries<S extends LedgerSet>(set: S): IterableIterator<readonly [Uint8Array, SetRows[S]]> {
    return (this.#sets[set] as unknown as SparseMap<SetRows[S]>).entries()
  }

  put<S extends LedgerSet>(set: S, key: Uint8Array, row: SetRows[S]): void {
    const before = this.get(set, key)
    this.#sets[set] = (this.#sets[set] as SparseMap<SetRows[LedgerSet]>).set(key, row)
    if (before !== undefined) this.#add(set, before, -1n)
    this.#add(set, row, 1n)
    const hex = toHex(key)
    for (const name of OPEN_NAMES) {
      const rule = OPEN_ROWS[name]
      if (rule.set === set) {
        this.#track(name, hex, { key, row }, (rule.isOpen as (row: unknown) => boolean)(row))
      }
    }
    this.#changes.set(`${set}:${hex}`, { set, key, row })
  }

  /** The open rows as this draft has them. */
  open<N extends OpenName>(name: N): OpenRowsOf<N> {
    return (this.#open[name] ?? this.#parent.open[name]) as OpenRowsOf<N>
  }

  /** Sum of the credits with a timestamp in (now − a day, now]. */
  dayCreditSat(now: number): bigint {
    return this.#dayCredits
      .filter(({ timestamp }) => timestamp > now - DAY_SECONDS)
      .reduce((sum, { amountSat }) => sum + amountSat, 0n)
  }

  /** Notes a credit for the rolling limit and forgets those older than a day. Timestamps never fall. */
  markCredit(timestamp: number, amountSat: bigint): void {
    const kept = this.#dayCredits.filter((mark) => mark.timestamp > timestamp - DAY_SECONDS)
    const last = kept.at(-1)
    if (last?.timestamp === timestamp) {
      kept[kept.length - 1] = { timestamp, amountSat: last.amountSat + amountSat }
    } else {
      kept.push({ timestamp, amountSat })
    }
    this.#dayCredits = kept
  }

  finish(): Ledger {
    const state = { ...this.#state }
    if (!sameState(state, this.#parent.state) || this.#changes.has('state')) {
      this.#changes.set('state', { set: 'state', key: STATE_KEY, row: state })
    }
    return {
      state,
      sets: { ...this.#sets } as unknown as Sets,
      open: { ...this.#parent.open, ...this.#open } as unknown as OpenMaps,
      dayCredits: this.#dayCredits,
      changes: this.#changes,
    }
  }

  #add<S extends LedgerSet>(set: S, row: SetRows[S], sign: bigint): void {
    for (const [name, amount] of partsOf(set, row)) {
      if (name === 'pegInStops' || name === 'pegOutStops') {
        this.#state[name] += Number(sign * amount)
      } else {
        this.#state[name] += sign * amount
      }
    }
  }

  #track(name: OpenName, hex: string, entry: Entry<SetRows[LedgerSet]>, isOpen: boolean): void {
    if (!isOpen && !this.open(name).has(hex)) return
    this.#open[name] ??= new Map(
      this.#parent.open[name] as ReadonlyMap<string, Entry<SetRows[LedgerSet]>>,
    )
    if (isOpen) this.#open[name].set(hex, entry)
    else this.#open[name].delete(hex)
  }
}

function sameState(left: StateRow, right: StateRow): boolean {
  return (Object.keys(left) as (keyof StateRow)[]).every((name) =>
    name === 'tipHash' ? toHex(left.tipHash) === toHex(right.tipHash) : left[name] === right[name],
  )
}

export type RowsError = {
  readonly code: 'LedgerRowMalformed' | 'LedgerTotalsMismatch'
  readonly detail: string
}

/** Rows into a ledger that has the genesis rows; the reason why not, when they are no rows of one ledger. */
export function applyRows(genesis: Ledger, rows: Iterable<LedgerChange>): Ledger | RowsError {
  const draft = new LedgerDraft(genesis)
  let state: StateRow | undefined
  for (const { set, key, value } of rows) {
    const name = SET_NAMES[set]
    const row = name === undefined ? undefined : decodeRow(name, value)
    if (name === undefined || row === undefined) {
      return { code: 'LedgerRowMalformed', detail: `${name ?? set}:${toHex(key)}` }
    }
    if (name === 'state') {
      state = row as StateRow
      continue
    }
    draft.put(name, Uint8Array.from(key), row as SetRows[typeof name])
  }
  if (state === undefined) return { ...draft.finish(), changes: new Map() }
  for (const name of [...TOTALS, ...COUNTS]) {
    if (draft.state[name] !== state[name]) {
      return {
        code: 'LedgerTotalsMismatch',
        detail: `${name}: ${draft.state[name]}, ${state[name]}`,
      }
    }
  }
  draft.update(state)
  const credits = [...draft.entries('outputs')]
    .map(([, row]) => row)
    .filter((row) => row.kind === OUTPUT_KIND.credit)
  credits.sort((left, right) => left.timestamp - right.timestamp)
  for (const { timestamp, amountSat } of credits) draft.markCredit(timestamp, amountSat)
  return { ...draft.finish(), changes: new Map() }
}
