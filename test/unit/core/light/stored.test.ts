/** A ledger on a disk that somebody may have changed: whose it is follows from the genesis file (P 1.4, 5.6). */
import { type BlockHeader, blockHash } from '../../../../core/block/index.ts'
import { heightKey, type Ledger, LedgerDraft, ledgerRoot } from '../../../../core/ledger/index.ts'
import {
  type KnownBlock,
  type StoredChain,
  storedLedgerFault,
} from '../../../../core/light/index.ts'
import type { Validator } from '../../../../core/params/index.ts'
import { validatorsRowAt } from '../../../../core/validators/index.ts'
import type { BlsKeyPair } from '../../../../crypto/index.ts'
import { certify, joiningKeys, Town } from '../chain/town.ts'
import { adding, approved, removing } from '../validators/changes.ts'

const HEAD = 9
/** Of the headers that announce another set. */
const ANNOUNCED = [3, 6]
let town: Town
let chain: StoredChain
/** Heights that were asked for. */
let read: number[]

beforeAll(async () => {
  town = await Town.open()
  const { genesis } = town
  const [joining] = joiningKeys as [BlsKeyPair]
  const [first] = genesis.validators as [Validator]
  await town.grow()
  await town.grow({ validatorChanges: [approved(genesis, adding(town.head.ledger, joining))] })
  for (let count = 0; count < 2; count++) await town.grow()
  const gone = removing(town.head.ledger, first.blsKey)
  await town.grow({ validatorChanges: [approved(genesis, gone)] })
  while (town.chain.length < HEAD) await town.grow()
})

function certified(height: number) {
  const { block, certificate } = town.chain[height - 1] as Town['chain'][number]
  return { header: block.header, certificate }
}

beforeEach(() => {
  read = []
  const certifiedAt = (height: number) => {
    read.push(height)
    return certified(height)
  }
  chain = { ledger: town.head.ledger, head: certified(HEAD), certifiedAt }
})

const codeOf = (changed: Partial<StoredChain>, known?: KnownBlock) =>
  storedLedgerFault(town.genesis, { ...chain, ...changed }, known)?.code

/** Everything that who may write to the disk can make: rows, and a head with their root that these validators signed. */
function forged(ledger: Ledger, validators: readonly Validator[]): Partial<StoredChain> {
  const header: BlockHeader = { ...certified(HEAD).header, ledgerRoot: ledgerRoot(ledger) }
  const everybody = validators.map((_, index) => index)
  const certificate = certify(town.genesis, HEAD, blockHash(header), everybody, { validators })
  return { ledger, head: { header, certificate } }
}

const strangers = (): readonly Validator[] =>
  joiningKeys.map(({ publicKey }) => ({ blsKey: publicKey, power: 1, address: new Uint8Array(20) }))

/** The ledger with other validators from a height on. */
function withRow(activation: number, changed: object): Ledger {
  const { ledger } = town.head
  const draft = new LedgerDraft(ledger)
  const { row } = validatorsRowAt(ledger, activation)
  draft.put('validators', heightKey(activation), { ...row, ...changed })
  return draft.finish()
}

describe('a stored ledger', () => {
  it('is believed by its head’s certificate and one header for each change of the validators', () => {
    expect(storedLedgerFault(town.genesis, chain)).toBeUndefined()
    expect(read).toEqual(ANNOUNCED)
  })

  it('with validators of its own, who signed its head, is not of this chain', () => {
    for (const activation of [0, 4, 7]) {
      const ledger = withRow(activation, { validators: strangers() })
      expect(codeOf(forged(ledger, strangers()))).toBe('NotDecided')
    }
    const { validators } = validatorsRowAt(town.head.ledger, HEAD).row
    expect(codeOf(forged(town.head.ledger, validators))).toBeUndefined()
  })

  it('whose rows name each other in a circle, or heights that nobody saw, ends all the same', () => {
    for (const changed of [{ previous: 7 }, { previous: 99 }]) {
      const ledger = withRow(7, { ...changed, validators: strangers() })
      expect(codeOf(forged(ledger, strangers()))).toBe('NotDecided')
    }
    const far = new LedgerDraft(town.head.ledger)
    const { row } = validatorsRowAt(town.head.ledger, HEAD)
    far.put('validators', heightKey(Number.MAX_SAFE_INTEGER), row)
    expect(codeOf(forged(far.finish(), row.validators))).toBeUndefined()
  })

  it('that forgets a change, or has lost its header, is refused', () => {
    const certifiedAt = (height: number) => (height === 3 ? undefined : certified(height))
    expect(codeOf({ certifiedAt })).toBe('HeaderMissing')
    const other = (height: number) => certified(height === 3 ? 2 : height)
    expect(codeOf({ certifiedAt: other })).toBe('NotDecided')
  })

  it('of another block has not its root', () => {
    expect(codeOf({ head: certified(HEAD - 1) })).toBe('RowsWrong')
  })
})

describe('from a block that the operator knows', () => {
  const known = (height: number): KnownBlock => ({
    height,
    hash: blockHash(certified(height).header),
  })

  it('nothing below it is read, at whatever height it is', () => {
    for (let height = 1; height <= HEAD; height++) {
      read = []
      expect(codeOf({}, known(height))).toBeUndefined()
      const own = height < HEAD ? [height] : []
      expect(read).toEqual([...own, ...ANNOUNCED.filter((announced) => announced > height)])
    }
  })

  it('what is above it is followed all the same', () => {
    const foreign = forged(town.head.ledger, strangers())
    for (const height of [1, 4, HEAD - 1]) expect(codeOf(foreign, known(height))).toBe('NotDecided')
  })

  it('another one at its height, one above the head, and one that is gone are refused', () => {
    expect(codeOf({}, { ...known(4), height: 5 })).toBe('NotNamed')
    expect(codeOf({}, { ...known(HEAD), height: HEAD + 1 })).toBe('NotNamed')
    expect(codeOf({ certifiedAt: () => undefined }, known(4))).toBe('HeaderMissing')
  })

  it('keys that were removed since then sign nothing for it', () => {
    // Another history by the validators of the genesis file, from height 1 on: followed from there it is as good.
    const { validators } = town.genesis
    const draft = new LedgerDraft(town.head.ledger)
    const { row } = validatorsRowAt(town.head.ledger, 0)
    for (const acts of [4, 7]) draft.put('validators', heightKey(acts), row)
    const ledger = draft.finish()
    const { validatorsHash } = certified(1).header
    const old = forged(ledger, validators)
    const same = { validatorsHash, nextValidatorsHash: validatorsHash }
    const header = { ...(old.head as StoredChain['head']).header, ...same }
    const certificate = certify(town.genesis, HEAD, blockHash(header))
    const certifiedAt = (height: number) => {
      const shown = { ...certified(height).header, ...same }
      return { header: shown, certificate: certify(town.genesis, height, blockHash(shown)) }
    }
    const history = { ledger, head: { header, certificate }, certifiedAt }
    expect(codeOf(history)).toBeUndefined()
    expect(codeOf(history, known(7))).toBe('NotNamed')
  })
})
