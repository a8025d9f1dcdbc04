/** Changes of the validators in a whole chain: decided at h, acting at h + 2 (P 1.4, BF-13). */
import type { ValidatorChange } from '../../../../core/block/index.ts'
import { type ChainHead, checkBlock, commitVerdict } from '../../../../core/chain/index.ts'
import {
  genesisLedger,
  ledgerChanges,
  ledgerFromRows,
  ledgerRoot,
} from '../../../../core/ledger/index.ts'
import { parseGenesis } from '../../../../core/params/index.ts'
import { quorum, verifyCertificate } from '../../../../core/pbft/index.ts'
import {
  applyValidatorChange,
  changedValidators,
  checkValidatorChange,
  feeRatesKept,
  largestStep,
  MAX_POWER,
  nextSequence,
  validatorsAt,
} from '../../../../core/validators/index.ts'
import { type BlsKeyPair, toHex } from '../../../../crypto/index.ts'
import { certify, joiningKeys, type Made, reseal, Town, townGenesis } from '../chain/town.ts'
import { memberKeys } from '../peg/world.ts'
import { adding, approved, removing } from './changes.ts'

const [joining, second] = joiningKeys as [BlsKeyPair, BlsKeyPair, BlsKeyPair]
const keysAt = ({ ledger }: ChainHead, height: number) =>
  validatorsAt(ledger, height).map(({ blsKey }) => toHex(blsKey).slice(0, 8))

async function grow(town: Town, change?: ValidatorChange): Promise<Made> {
  const validatorChanges = change === undefined ? [] : [approved(town.genesis, change)]
  return town.grow({ validatorChanges })
}

describe('P 1.4: what block h decides acts at h + 2', () => {
  it('BF-13: an added key votes from h + 2 on, a removed one no longer; nobody is known by position', async () => {
    const town = await Town.open()
    const old = town.genesis.validators.map(({ blsKey }) => toHex(blsKey).slice(0, 8))
    const added = toHex(joining.publicKey).slice(0, 8)
    await grow(town)
    await grow(town, adding(town.head.ledger, joining))
    expect(town.head.header.height).toBe(2)
    expect([0, 1, 2, 3].map((height) => keysAt(town.head, height))).toEqual([old, old, old, old])
    expect(keysAt(town.head, 4)).toEqual([...old, added])
    const gone = town.genesis.validators[0]?.blsKey as Uint8Array
    await grow(town, removing(town.head.ledger, gone))
    await grow(town)
    await grow(town)
    await grow(town)
    expect(keysAt(town.head, 4)).toEqual([...old, added])
    expect(keysAt(town.head, 5)).toEqual([...old.slice(1), added])
    // The same four positions, other keys: a certificate of one set is none of the other (T11).
    const certified = town.chain.map(({ certificate }) => certificate.bitmap.bitLen)
    expect(certified).toEqual([4, 4, 4, 5, 4, 4])
  })

  it('the headers commit to the sets one height ahead', async () => {
    const town = await Town.open()
    await grow(town, adding(town.head.ledger, joining))
    await grow(town)
    await grow(town)
    const [one, two, three] = town.chain.map(({ block: { header } }) => header)
    expect(one?.nextValidatorsHash).toEqual(one?.validatorsHash)
    expect(two?.validatorsHash).toEqual(one?.nextValidatorsHash)
    expect(two?.nextValidatorsHash).not.toEqual(two?.validatorsHash)
    expect(three?.validatorsHash).toEqual(two?.nextValidatorsHash)
  })

  it('the parent certificate is one of validators(h − 1), the own one of validators(h)', async () => {
    const town = await Town.open()
    await grow(town, adding(town.head.ledger, joining))
    await grow(town)
    const before = town.head
    const made = await town.make()
    const { header } = made.block
    expect(header.height).toBe(3)
    const five = validatorsAt(before.ledger, 3)
    expect(five).toHaveLength(5)
    const verdictOf = (signers: number[], validators = five) =>
      commitVerdict(town.genesis, before, {
        block: made.block,
        certificate: certify(town.genesis, 3, made.head.hash, signers, { validators }),
      })
    expect(verdictOf([0, 1, 2, 4])).toEqual({ kind: 'valid' })
    expect(verdictOf([0, 1, 2])).toMatchObject({ code: 'NoQuorum' })
    expect(verdictOf([0, 1, 2], town.genesis.validators)).toMatchObject({ code: 'BitmapLength' })
    // Its parent was decided by four: a certificate of the five for it is none.
    expect(town.codeOf(made.block)).toBeUndefined()
    const wrong = certify(town.genesis, 2, before.hash, [0, 1, 2, 4], { validators: five })
    const other = reseal(town.genesis, made.block, { body: { parentCertificate: wrong } })
    expect(town.codeOf(other)).toBe('BadParentCertificate')
  })

  it('proposers rotate over the keys of the set that acts', async () => {
    const town = await Town.open()
    await grow(town, adding(town.head.ledger, joining))
    await grow(town, removing(town.head.ledger, town.genesis.validators[1]?.blsKey as Uint8Array))
    const authors = new Set<string>()
    for (let count = 0; count < 8; count++) {
      const made = await town.make()
      const { block } = made
      expect(town.codeOf(block, made.outcome)).toBeUndefined()
      await town.commit(made)
      if (block.header.height >= 4) authors.add(toHex(block.header.author))
    }
    const present = validatorsAt(town.head.ledger, 4).map(({ blsKey }) => toHex(blsKey))
    expect([...authors].sort()).toEqual(present.sort())
    expect(authors).toContain(toHex(joining.publicKey))
  })

  it('a ledger read back from its rows knows every set, and keeps as many fee rates as one that ran on', async () => {
    const town = await Town.open()
    const rows = []
    const kept = [town.head.feeRates.length]
    const sets = new Map<number, string[]>()
    for (let height = 1; height <= 14; height++) {
      const { ledger } = town.head
      const change =
        height === 2
          ? adding(ledger, joining)
          : height === 3
            ? adding(ledger, second)
            : height === 9
              ? removing(ledger, joining.publicKey)
              : undefined
      await grow(town, change)
      rows.push(...ledgerChanges(town.head.ledger))
      const again = ledgerFromRows(town.genesis, rows)
      if (!again.ok) throw new Error(again.error.code)
      expect(ledgerRoot(again.value)).toEqual(town.head.header.ledgerRoot)
      expect(feeRatesKept(again.value)).toBe(town.head.feeRates.length)
      sets.set(height + 2, keysAt(town.head, height + 2))
      for (const [at, keys] of sets) {
        expect(keysAt({ ...town.head, ledger: again.value }, at)).toEqual(keys)
      }
      kept.push(town.head.feeRates.length)
    }
    expect(kept).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 11, 11, 11])
    // Six validators would keep thirteen; the removal came before there were as many.
    expect(validatorsAt(town.head.ledger, 16)).toHaveLength(5)
  })
})

describe('BF-13: a change that breaks a rule is in no block', () => {
  const genesis = townGenesis()

  async function refusal(change: ValidatorChange, signers?: readonly number[], epoch?: number) {
    const town = await Town.open()
    const item = approved(town.genesis, change, signers, epoch)
    const made = await town.make()
    const block = reseal(town.genesis, made.block, { body: { validatorChanges: [item] } })
    const begun = checkBlock(town.genesis, town.head, block)
    const planned = await town.make({ validatorChanges: [item] })
    expect(planned.block.body.validatorChanges).toHaveLength(0)
    return begun.ok ? undefined : begun.error.code
  }

  it('a missing or foreign proof of possession', async () => {
    const { ledger } = (await Town.open()).head
    const change = adding(ledger, joining)
    const { proofOfPossession } = adding(ledger, second)
    expect(await refusal({ ...change, proofOfPossession })).toBe('ValidatorPossessionWrong')
    const none = new Uint8Array(96)
    expect(await refusal({ ...change, proofOfPossession: none })).toBe('ValidatorPossessionWrong')
  })

  it('fewer than t members, members of another epoch, an approval of other fields', async () => {
    const { ledger } = (await Town.open()).head
    const change = adding(ledger, joining)
    expect(await refusal(change, [0, 1])).toBe('ApprovalQuorumMissing')
    expect(await refusal(change, [0, 1, 2], 1)).toBe('ApprovalEpochWrong')
    const town = await Town.open()
    const item = { ...approved(genesis, change), power: 2 }
    expect(checkValidatorChange(genesis, town.head.ledger, item)).toMatchObject({ ok: false })
    const other = { ...approved(genesis, change), address: new Uint8Array(20).fill(9) }
    expect(checkValidatorChange(genesis, town.head.ledger, other)).toMatchObject({
      error: { code: 'ApprovalSignatureWrong' },
    })
  })

  it('the same approval twice: its sequence is over', async () => {
    const town = await Town.open()
    const change = adding(town.head.ledger, joining)
    const item = approved(town.genesis, change)
    await town.grow({ validatorChanges: [item] })
    const after = checkValidatorChange(town.genesis, town.head.ledger, item)
    expect(after).toMatchObject({ error: { code: 'ValidatorSequenceWrong' } })
    await grow(town, removing(town.head.ledger, joining.publicKey))
    const again = checkValidatorChange(town.genesis, town.head.ledger, item)
    expect(again).toMatchObject({ error: { code: 'ValidatorSequenceWrong' } })
  })

  it('two changes do not fit into one block', async () => {
    const town = await Town.open()
    const item = approved(town.genesis, adding(town.head.ledger, joining))
    const { block } = await town.make({ validatorChanges: [item, item] })
    expect(block.body.validatorChanges).toHaveLength(1)
  })

  it.each([
    ['a power above the bound', { power: MAX_POWER + 1 }, 'ValidatorPowerTooLarge'],
    ['more than a third of the power at once', { power: 2 }, 'ValidatorStepTooLarge'],
    ['the removal of a stranger', { power: 0 }, 'ValidatorKeyUnknown'],
    ["a member's key", { blsKey: memberKeys[0]?.publicKey }, 'ValidatorKeyOfMember'],
  ] as const)('%s', async (_, fields, code) => {
    const { ledger } = (await Town.open()).head
    const change = { ...adding(ledger, joining), ...fields } as ValidatorChange
    expect(changedValidators(genesis, ledger, change)).toMatchObject({ error: { code } })
  })

  it('what changes nothing, and a removal with an address', async () => {
    const { ledger } = (await Town.open()).head
    const present = genesis.validators[0] as (typeof genesis.validators)[0]
    const same = { ...removing(ledger, present.blsKey), ...present }
    expect(changedValidators(genesis, ledger, same)).toMatchObject({
      error: { code: 'ValidatorChangeEffectless' },
    })
    const gone = { ...removing(ledger, present.blsKey), address: present.address }
    expect(changedValidators(genesis, ledger, gone)).toMatchObject({
      error: { code: 'ValidatorAddressWrong' },
    })
    const proven = { ...same, power: 2, proofOfPossession: new Uint8Array(96).fill(1) }
    expect(changedValidators(genesis, ledger, proven)).toMatchObject({
      error: { code: 'ValidatorPossessionWrong' },
    })
  })

  it('the last validator stays', () => {
    const file = { ...genesis.file, validators: genesis.file.validators.slice(0, 1) }
    const parsed = parseGenesis(file, genesis.signatures)
    if (!parsed.ok) throw new Error(parsed.error.reason)
    const ledger = genesisLedger(parsed.value)
    const [only] = parsed.value.validators
    const change = removing(ledger, only?.blsKey as Uint8Array)
    expect(changedValidators(parsed.value, ledger, change)).toMatchObject({
      error: { code: 'ValidatorSetEmpty' },
    })
  })
})

describe('BF-1: power that differs', () => {
  it('an added key that never comes up leaves the others a quorum, from three of power on', () => {
    for (let total = 3; total <= 120; total++) {
      const step = largestStep([{ power: total }])
      const after = [{ power: total }, { power: step }]
      expect(quorum(after)).toBeLessThanOrEqual(total)
    }
  })

  it('any quorum of a set shares power with any quorum of the next', () => {
    for (let total = 3; total <= 120; total++) {
      const step = largestStep([{ power: total }])
      for (const next of [total + step, total - step]) {
        const union = Math.max(total, next)
        const least = Math.floor((2 * total) / 3) + 1 + Math.floor((2 * next) / 3) + 1
        expect(least).toBeGreaterThan(union)
      }
    }
  })

  it('a certificate counts the power that the height gives its keys', () => {
    const base = townGenesis()
    const validators = base.validators.map((row, index) => ({
      ...row,
      power: [5, 1, 1, 1][index] as number,
    }))
    const hash = new Uint8Array(32).fill(7)
    const verdictOf = (signers: number[]) => {
      const certificate = certify(base, 1, hash, signers)
      return verifyCertificate(base.signatures, base.hash, 'commit', validators, certificate).kind
    }
    expect(quorum(validators)).toBe(6)
    expect(verdictOf([0, 1])).toBe('valid')
    expect(verdictOf([1, 2, 3])).toBe('invalid')
  })

  it('a changed power acts two blocks later, and the order of the keys stays', async () => {
    const town = await Town.open()
    const { ledger } = town.head
    const [, chosen] = town.genesis.validators as readonly [
      unknown,
      (typeof town.genesis.validators)[0],
    ]
    const change = { ...removing(ledger, chosen.blsKey), power: 2, address: chosen.address }
    const applied = applyValidatorChange(town.genesis, ledger, 1, approved(town.genesis, change))
    if (!applied.ok) throw new Error(applied.error.code)
    expect(validatorsAt(applied.value, 2).map(({ power }) => power)).toEqual([1, 1, 1, 1])
    expect(validatorsAt(applied.value, 3).map(({ power }) => power)).toEqual([1, 2, 1, 1])
    expect(nextSequence(applied.value)).toBe(2)
  })
})
