/** The light client over changes of the validators, and what it refuses (P 1.4, 5.6; BF-13). */
import { BlockHeaderType, blockHash } from '../../../../core/block/index.ts'
import {
  decodeLedgerProof,
  encodeLedgerProof,
  encodeRow,
  heightKey,
  proveRow,
  rowOf,
  verifyRow,
} from '../../../../core/ledger/index.ts'
import {
  type CertifiedHeader,
  followHeader,
  HEADER_FIELDS,
  proveField,
  type Trusted,
  trustGenesis,
  verifyField,
} from '../../../../core/light/index.ts'
import type { Validator } from '../../../../core/params/index.ts'
import { validatorsAt, validatorsRowAt } from '../../../../core/validators/index.ts'
import { type BlsKeyPair, equalBytes } from '../../../../crypto/index.ts'
import { certify, joiningKeys, Town } from '../chain/town.ts'
import { adding, approved, removing } from '../validators/changes.ts'

const [joining] = joiningKeys as [BlsKeyPair]
let town: Town
let headers: readonly CertifiedHeader[]

beforeAll(async () => {
  town = await Town.open()
  const { genesis } = town
  const grow = () => town.grow()
  await grow()
  await town.grow({ validatorChanges: [approved(genesis, adding(town.head.ledger, joining))] })
  await grow()
  await grow()
  const [first] = genesis.validators as [Validator]
  const gone = removing(town.head.ledger, first.blsKey)
  await town.grow({ validatorChanges: [approved(genesis, gone)] })
  for (let count = 0; count < 4; count++) await grow()
  headers = town.chain.map(({ block: { header }, certificate }) => {
    const announces = !equalBytes(header.validatorsHash, header.nextValidatorsHash)
    const nextValidators = validatorsAt(town.head.ledger, header.height + 1)
    return { header, certificate, ...(announces && { nextValidators }) }
  })
})

const at = (height: number) => headers[height - 1] as CertifiedHeader

function follow(heights: readonly number[], start = trustGenesis(town.genesis)): Trusted | string {
  let trusted = start
  for (const height of heights) {
    const next = followHeader(town.genesis, trusted, at(height))
    if (!next.ok) return `${next.error.code} at ${next.error.height}`
    trusted = next.value
  }
  return trusted
}

describe('followHeader', () => {
  it('follows every header, or only those that announce another set and the last', () => {
    const all = follow([1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(all).toMatchObject({ header: { height: 9 } })
    expect(follow([3, 6, 9])).toEqual(all)
    expect((all as Trusted).nextValidators).toEqual(validatorsAt(town.head.ledger, 10))
  })

  it('does not jump over a change, up or back', () => {
    expect(follow([4])).toBe('ValidatorSetMismatch at 4')
    expect(follow([9])).toBe('ValidatorSetMismatch at 9')
    expect(follow([3, 9])).toBe('ValidatorSetMismatch at 9')
    expect(follow([3, 2])).toBe('HeightNotRising at 2')
  })

  it('refuses the right header with the certificate of another set, block or height', () => {
    const trusted = follow([3]) as Trusted
    const codeOf = (changed: Partial<CertifiedHeader>) => {
      const result = followHeader(town.genesis, trusted, { ...at(4), ...changed })
      return result.ok ? 'ok' : result.error.code
    }
    const { header } = at(4)
    const hash = blockHash(header)
    expect(codeOf({})).toBe('ok')
    expect(codeOf({ certificate: at(5).certificate })).toBe('CertificateMismatch')
    // Its position, not its key: the first four of the old set.
    expect(codeOf({ certificate: certify(town.genesis, 4, hash) })).toBe('CertificateInvalid')
    const validators = validatorsAt(town.head.ledger, 4)
    const few = certify(town.genesis, 4, hash, [0, 1, 4], { validators })
    expect(codeOf({ certificate: few })).toBe('CertificateInvalid')
    expect(codeOf({ header: { ...header, ledgerRoot: new Uint8Array(32) } })).toBe(
      'CertificateMismatch',
    )
    expect(codeOf({ header: { ...header, parentHash: new Uint8Array(32) } })).toBe('ParentMismatch')
    expect(codeOf({ header: { ...header, slot: 1 } })).toBe('SlotNotRising')
  })

  it('refuses an announced set that is not shown, or another one', () => {
    const codeOf = (nextValidators: readonly Validator[] | undefined) => {
      const { header, certificate } = at(3)
      const certified = { header, certificate, ...(nextValidators && { nextValidators }) }
      const result = followHeader(town.genesis, trustGenesis(town.genesis), certified)
      return result.ok ? 'ok' : result.error.code
    }
    const next = at(3).nextValidators as readonly Validator[]
    expect(next).toHaveLength(5)
    expect(codeOf(next)).toBe('ok')
    expect(codeOf(undefined)).toBe('ValidatorSetUnknown')
    expect(codeOf(town.genesis.validators)).toBe('ValidatorSetUnknown')
    expect(codeOf(next.toReversed())).toBe('ValidatorSetUnknown')
    expect(codeOf(next.map((row) => ({ ...row, power: 2 })))).toBe('ValidatorSetUnknown')
  })
})

describe('proofs under a header', () => {
  it('each field of a header, and no other value of it', () => {
    const { header } = at(6)
    const hash = blockHash(header)
    for (const field of HEADER_FIELDS) {
      const branch = proveField(header, field)
      const value = header[field]
      expect(verifyField(hash, field, value, branch)).toBe(true)
      const other = BlockHeaderType.defaultValue()[field]
      expect(verifyField(hash, field, other, branch)).toBe(false)
      expect(verifyField(hash, field, value, branch.slice(1))).toBe(false)
    }
  })

  it('validators(h) of any height, by one row of the ledger', () => {
    const { ledger, header } = town.head
    for (let height = 0; height <= header.height + 1; height++) {
      const { activation, row } = validatorsRowAt(ledger, height)
      expect(activation <= height && (row.next === 0 || row.next > height)).toBe(true)
      expect([activation, row.next]).toEqual(height < 4 ? [0, 4] : height < 7 ? [4, 7] : [7, 0])
      const key = heightKey(activation)
      const proof = decodeLedgerProof(encodeLedgerProof(proveRow(ledger, 'validators', key)))
      if (proof === undefined) throw new Error('no proof')
      const bytes = encodeRow('validators', row)
      expect(verifyRow(header.ledgerRoot, proof, 'validators', key, bytes)).toBe(true)
      const forged = encodeRow('validators', { ...row, validators: row.validators.slice(1) })
      expect(verifyRow(header.ledgerRoot, proof, 'validators', key, forged)).toBe(false)
      expect(rowOf(ledger, 'validators', key)).toEqual(row)
    }
  })
})
