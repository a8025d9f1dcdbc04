import type { Block, PegInItem, Withdrawal } from '../../../../core/block/index.ts'
import { authorMessage, emptyCertificate, randaoMessage } from '../../../../core/block/index.ts'
import { type ExecutionEffects, INVALID_BLOCK_CODES } from '../../../../core/chain/index.ts'
import { blsSign, equalBytes } from '../../../../crypto/index.ts'
import { addressOf, approve, claimOf, depositOf, p2wpkh, seeded } from '../peg/world.ts'
import { alice, burn, EAGER } from './journey.ts'
import {
  certify,
  keyOfValidator,
  type Made,
  type Reseal,
  reseal,
  Town,
  validatorKeys,
} from './town.ts'

const WRONG_HASH = seeded('wrong')

describe('what makes a block no child of its parent: each rule by its name', () => {
  let town: Town
  let made: Made

  beforeAll(async () => {
    town = await Town.open(EAGER)
    await town.grow({ queue: town.deposit('alice', 5_000_000n, alice.address) })
    const first = town.deposit('first', 1_000_000n)
    const second = depositOf(town.genesis, 'second', 2_000_000n)
    town.bitcoin.mine([second])
    town.bitcoin.mine([], 2)
    const claim = claimOf(town.bitcoin, second)
    const queue = {
      ...first,
      headers: town.bitcoin.headersAfter(town.head.ledger.state.tipHeight),
      pegIns: [...first.pegIns, { claim, approval: approve(town.genesis, claim) }],
    }
    made = await town.make({ queue, transactions: [burn(town, 0, 100_000n)] })
  })

  const codeOf = (changes: Reseal) => town.codeOf(reseal(town.genesis, made.block, changes))

  it('the block itself is valid, with what its execution did', () => {
    expect(town.codeOf(made.block, made.outcome)).toBeUndefined()
    expect(codeOf({})).toBeUndefined()
    expect(made.block.body.payload.withdrawals).toHaveLength(2)
  })

  it('BP-2: height, parent, and a slot after the parent’s', () => {
    const { height, slot } = made.block.header
    const parentSlot = town.head.header.slot
    expect(codeOf({ header: { height: height + 1 } })).toBe('WrongHeight')
    expect(codeOf({ header: { parentHash: WRONG_HASH } })).toBe('WrongParent')
    expect(codeOf({ header: { slot: parentSlot } })).toBe('SlotNotAfterParent')
    expect(codeOf({ header: { slot: parentSlot - 1 } })).toBe('SlotNotAfterParent')
    expect(slot).toBe(parentSlot + 1)
  })

  it('BP-1, D13: by every key but the one whose slot it is', () => {
    const { author, slot } = made.block.header
    const others = validatorKeys.filter(({ publicKey }) => !equalBytes(publicKey, author))
    expect(others).toHaveLength(3)
    for (const { publicKey } of others) {
      expect(codeOf({ header: { author: publicKey } })).toBe('WrongSlotAuthor')
    }
    // The right author in the wrong slot, and a slot between the starts of two views.
    expect(codeOf({ header: { slot: slot + 1 } })).toBe('WrongSlotAuthor')
    expect(codeOf({ header: { slot: slot + 9 } })).toBe('WrongSlotAuthor')
    const message = authorMessage(town.genesis.hash, made.block.header, made.head.hash)
    const signatures = [
      ...others.map(({ secretKey }) => blsSign(secretKey, message)),
      blsSign(keyOfValidator(author).secretKey, made.head.hash),
      new Uint8Array(96),
    ]
    for (const signature of signatures) {
      expect(town.codeOf({ ...made.block, signature })).toBe('BadAuthorSignature')
    }
  })

  it('4.10: every root that the header names', () => {
    const header = (changes: Partial<Block['header']>) => codeOf({ header: changes })
    expect(header({ bodyRoot: WRONG_HASH })).toBe('WrongBodyRoot')
    expect(header({ evidenceRoot: WRONG_HASH })).toBe('WrongEvidenceRoot')
    expect(header({ paramsHash: WRONG_HASH })).toBe('WrongParamsHash')
    expect(header({ validatorsHash: WRONG_HASH })).toBe('WrongValidatorsHash')
    expect(header({ nextValidatorsHash: WRONG_HASH })).toBe('WrongValidatorsHash')
    expect(header({ membersHash: WRONG_HASH })).toBe('WrongMembersHash')
    const wrongLedger = reseal(town.genesis, made.block, { header: { ledgerRoot: WRONG_HASH } })
    expect(town.codeOf(wrongLedger)).toBeUndefined()
    expect(town.codeOf(wrongLedger, made.outcome)).toBe('WrongLedgerRoot')
  })

  it('a body that the header does not commit to', () => {
    const [item] = made.block.body.pegIns
    const swapped: Block = {
      ...made.block,
      body: { ...made.block.body, pegIns: [item as PegInItem] },
    }
    expect(town.codeOf(swapped)).toBe('WrongBodyRoot')
  })

  it('D7, PO-8: a fee rate outside the parameters', () => {
    const { minFeeRateSatPerKvb, maxFeeRateSatPerKvb } = town.genesis.params
    const rate = (feeRateSatPerKvb: number) => codeOf({ header: { feeRateSatPerKvb } })
    expect(rate(minFeeRateSatPerKvb - 1)).toBe('FeeRateOutOfBounds')
    expect(rate(maxFeeRateSatPerKvb + 1)).toBe('FeeRateOutOfBounds')
    expect(rate(0)).toBe('FeeRateOutOfBounds')
    expect(rate(minFeeRateSatPerKvb)).toBeUndefined()
    expect(rate(maxFeeRateSatPerKvb)).toBeUndefined()
  })

  it('6.2: a reveal that is not the author’s for this slot', () => {
    const { header } = made.block
    const { secretKey } = keyOfValidator(header.author)
    const reveals = [
      blsSign(secretKey, randaoMessage(town.genesis.hash, header.slot + 1)),
      blsSign(secretKey, randaoMessage(WRONG_HASH, header.slot)),
      ...validatorKeys
        .filter(({ publicKey }) => !equalBytes(publicKey, header.author))
        .map((keys) => blsSign(keys.secretKey, randaoMessage(town.genesis.hash, header.slot))),
      new Uint8Array(96),
    ]
    for (const randaoReveal of reveals) {
      expect(codeOf({ header: { randaoReveal } })).toBe('BadRandaoReveal')
    }
  })

  describe('BF-6, T2: the parent’s certificate', () => {
    const codeWith = (parentCertificate: Block['body']['parentCertificate']) =>
      codeOf({ body: { parentCertificate } })
    const good = (signers?: readonly number[], options = {}) =>
      certify(town.genesis, town.head.header.height, town.head.hash, signers, options)

    it('any quorum of any view is as good as another', () => {
      for (const signers of [
        [0, 1, 2],
        [1, 2, 3],
        [0, 2, 3],
        [0, 1, 2, 3],
      ]) {
        expect(codeWith(good(signers))).toBeUndefined()
      }
      expect(codeWith(good([0, 1, 2], { view: 5 }))).toBeUndefined()
    })

    it('one below the quorum, of Prepares, for another block or another chain is none', () => {
      const { height } = town.head.header
      expect(codeWith(good([0, 1]))).toBe('BadParentCertificate')
      expect(codeWith(good([2]))).toBe('BadParentCertificate')
      expect(codeWith(good([0, 1, 2], { phase: 'prepare' }))).toBe('BadParentCertificate')
      expect(codeWith(certify(town.genesis, height, WRONG_HASH))).toBe('BadParentCertificate')
      const elsewhere = { ...good(), blockHash: WRONG_HASH }
      expect(codeWith(elsewhere)).toBe('BadParentCertificate')
      expect(codeWith({ ...good(), height: height + 1 })).toBe('BadParentCertificate')
      expect(codeWith({ ...good(), view: 1 })).toBe('BadParentCertificate')
      const foreign = { ...town.genesis, hash: WRONG_HASH }
      expect(codeWith(certify(foreign, height, town.head.hash))).toBe('BadParentCertificate')
      expect(codeWith(emptyCertificate())).toBe('BadParentCertificate')
      expect(codeWith({ ...good(), signature: new Uint8Array(96) })).toBe('BadParentCertificate')
    })

    it('bitmap tricks: a bit for who did not sign, more bits than validators, fewer, hidden ones', () => {
      const forged = good([0, 1])
      forged.bitmap.set(3, true)
      expect(codeWith(forged)).toBe('BadParentCertificate')
      expect(codeWith(good([0, 1, 2], { bits: 5 }))).toBe('BadParentCertificate')
      expect(codeWith(good([0, 1, 2], { bits: 3 }))).toBe('BadParentCertificate')
      expect(codeWith(good([0, 1, 2], { bits: 260 }))).toBe('BadParentCertificate')
      const padded = good([0, 1])
      padded.bitmap.uint8Array[0] = (padded.bitmap.uint8Array[0] as number) | 0b1001_0000
      expect(codeWith(padded)).toBe('BadParentCertificate')
    })
  })

  it('block 1 carries the empty certificate and no other', async () => {
    const young = await Town.open()
    const block = (await young.make()).block
    expect(young.codeOf(block)).toBeUndefined()
    const change = (changes: Partial<Block['body']['parentCertificate']>) => {
      const parentCertificate = { ...emptyCertificate(), ...changes }
      return young.codeOf(reseal(young.genesis, block, { body: { parentCertificate } }))
    }
    expect(change({ view: 1 })).toBe('BadParentCertificate')
    expect(change({ height: 1 })).toBe('BadParentCertificate')
    expect(change({ blockHash: WRONG_HASH })).toBe('BadParentCertificate')
    expect(change({ signature: new Uint8Array(96).fill(1) })).toBe('BadParentCertificate')
    expect(change(certify(young.genesis, 0, young.head.hash))).toBe('BadParentCertificate')
  })

  it('6.2: each field of the payload that is ours to say', () => {
    const field = (payload: Reseal['payload'] & {}) => codeOf({ payload })
    const { payload } = made.block.body
    expect(codeOf({ header: { evmBlockHash: WRONG_HASH } })).toBe('WrongPayloadField blockHash')
    expect(field({ parentHash: WRONG_HASH })).toBe('WrongPayloadField parentHash')
    expect(field({ blockNumber: payload.blockNumber + 1 })).toBe('WrongPayloadField blockNumber')
    expect(field({ timestamp: payload.timestamp + 1 })).toBe('WrongPayloadField timestamp')
    expect(field({ feeRecipient: addressOf('thief') })).toBe('WrongPayloadField feeRecipient')
    expect(field({ prevRandao: WRONG_HASH })).toBe('WrongPayloadField prevRandao')
    expect(field({ parentBeaconBlockRoot: WRONG_HASH })).toBe(
      'WrongPayloadField parentBeaconBlockRoot',
    )
    expect(field({ gasLimit: payload.gasLimit - 1 })).toBe('WrongPayloadField gasLimit')
    expect(field({ blobGasUsed: 131_072 })).toBe('WrongPayloadField blobGasUsed')
    expect(field({ excessBlobGas: 1 })).toBe('WrongPayloadField blobGasUsed')
    expect(field({ extraData: Uint8Array.of(1) })).toBe('WrongPayloadField extraData')
  })

  it('BP-2: the timestamp is the slot’s, whatever the time of the proposal', () => {
    expect(made.block.body.payload.timestamp).toBe(
      (made.block.header.slot * town.genesis.params.slotMs) / 1000,
    )
    const { timestamp } = made.block.body.payload
    for (const other of [timestamp - 1, timestamp + 1]) {
      expect(codeOf({ payload: { timestamp: other } })).toBe('WrongPayloadField timestamp')
    }
  })

  describe('BP-8: withdrawals', () => {
    const codeWith = (change: (list: Withdrawal[]) => Withdrawal[]) =>
      codeOf({ payload: { withdrawals: change([...made.block.body.payload.withdrawals]) } })
    const at = (index: number) => made.block.body.payload.withdrawals[index] as Withdrawal
    const MISMATCH = 'WithdrawalMismatch'

    it('D1: one more than the items back is one too many, however small', () => {
      const extra = { index: 3, validatorIndex: 0, address: addressOf('thief'), amountGwei: 1n }
      expect(codeWith((list) => [...list, extra])).toBe(MISMATCH)
      expect(codeWith((list) => [...list, { ...extra, amountGwei: 0n }])).toBe(MISMATCH)
      expect(codeWith((list) => [extra, ...list])).toBe(MISMATCH)
      expect(codeWith((list) => [...list, { ...extra, validatorIndex: 2 }])).toBe(MISMATCH)
    })

    it('missing, doubled, in another order', () => {
      expect(codeWith((list) => list.slice(1))).toBe(MISMATCH)
      expect(codeWith(() => [])).toBe(MISMATCH)
      expect(codeWith((list) => [...list, ...list])).toBe(MISMATCH)
      expect(codeWith((list) => [at(0), at(0), ...list.slice(2)])).toBe(MISMATCH)
      expect(codeWith((list) => list.reverse())).toBe(MISMATCH)
    })

    it('another index, kind, address or amount', () => {
      const first = (change: Partial<Withdrawal>) =>
        codeWith((list) => [{ ...at(0), ...change }, ...list.slice(1)])
      expect(first({ index: at(0).index + 1 })).toBe(MISMATCH)
      expect(first({ index: 0 })).toBe(MISMATCH)
      expect(first({ validatorIndex: 1 })).toBe(MISMATCH)
      expect(first({ address: addressOf('thief') })).toBe(MISMATCH)
      expect(first({ amountGwei: at(0).amountGwei + 1n })).toBe(MISMATCH)
      expect(first({ amountGwei: at(0).amountGwei / 10n })).toBe(MISMATCH)
    })

    it('two that sum up right are not the one that is due', () => {
      const half = at(0).amountGwei / 2n
      const halves = (list: Withdrawal[]) => [
        { ...at(0), amountGwei: half },
        { ...at(0), index: at(0).index + 1, amountGwei: at(0).amountGwei - half },
        ...list.slice(2),
      ]
      expect(codeWith(halves)).toBe(MISMATCH)
    })
  })

  describe('peg items', () => {
    const withItems = (change: (items: PegInItem[]) => PegInItem[]) =>
      codeOf({ body: { pegIns: change([...made.block.body.pegIns]) } })
    const item = (index: number) => made.block.body.pegIns[index] as PegInItem

    it('D2, PI-8: the same deposit twice in one block', () => {
      expect(withItems((items) => [...items, item(0)])).toBe('PegInDuplicate')
      expect(withItems((items) => [item(0), ...items])).toBe('PegInDuplicate')
    })

    it('PI-8: a deposit that an earlier block credited', async () => {
      const town = await Town.open()
      const queue = town.deposit('once', 1_000_000n)
      const first = await town.grow({ queue })
      const again = await town.make()
      const { pegIns, proofs } = first.block.body
      const replayed = reseal(town.genesis, again.block, { body: { pegIns, proofs } })
      expect(town.codeOf(replayed)).toBe('PegInDuplicate')
    })

    it('a forged approval: too few, a stranger’s bit, over another claim, of another epoch', () => {
      const { proofIndex, approval, ...fields } = item(0)
      const claim = { ...fields, proof: made.block.body.proofs[proofIndex] as never }
      const forged = (changes: Partial<PegInItem>) =>
        withItems((items) => [{ ...item(0), ...changes }, ...items.slice(1)])
      const of = (...signers: number[]) => approve(town.genesis, claim, signers)
      expect(forged({ approval: of(0, 1) })).toBe('ApprovalQuorumMissing')
      const padded = of(0, 1)
      padded.bitmap.set(2, true)
      expect(forged({ approval: padded })).toBe('ApprovalSignatureWrong')
      const otherClaim = { ...claim, evmAddress: addressOf('thief') }
      const moved = approve(town.genesis, otherClaim)
      expect(forged({ approval: moved })).toBe('ApprovalSignatureWrong')
      expect(forged({ approval: { ...approval, membersEpoch: 1 } })).toBe('ApprovalEpochWrong')
      expect(forged({ approval: of(1, 2, 3) })).toBeUndefined()
    })

    it('4.0: outside view 0 there is none', async () => {
      const late = await town.make({ skip: 2 })
      const { bitcoinHeaders, proofs, pegIns } = made.block.body
      for (const body of [{ bitcoinHeaders }, { bitcoinHeaders, proofs, pegIns }, { proofs }]) {
        const loaded = reseal(town.genesis, late.block, { body })
        expect(town.codeOf(loaded)).toBe('PegOutsideViewZero')
      }
    })

    it('a header that does not follow the in-block chain', () => {
      const headers = made.block.body.bitcoinHeaders
      expect(codeOf({ body: { bitcoinHeaders: headers.slice(1) } })).toBe('HeaderParentUnknown')
    })
  })

  describe('what the execution did enters the ledger', () => {
    const outcome = (): ExecutionEffects => made.outcome

    it('a burn that nobody made, one that is left out, another amount or destination', () => {
      const [burned] = outcome().burns
      if (burned === undefined) throw new Error('the block burns')
      const cases: Partial<ExecutionEffects>[] = [
        { burns: [] },
        { burns: [burned, { ...burned, logIndex: 1 }] },
        { burns: [{ ...burned, valueWei: burned.valueWei * 2n }] },
        { burns: [{ ...burned, bytes: p2wpkh('thief') }] },
        { burns: [{ ...burned, evmAddress: addressOf('thief') }] },
        { feesBurnedWei: outcome().feesBurnedWei + 1n },
      ]
      for (const change of cases) {
        expect(town.codeOf(made.block, { ...outcome(), ...change })).toBe('WrongLedgerRoot')
      }
    })

    it('C-1: a burn with a fraction of a satoshi is an error, never rounded', () => {
      const [burned] = outcome().burns
      if (burned === undefined) throw new Error('the block burns')
      const odd = { ...outcome(), burns: [{ ...burned, valueWei: burned.valueWei + 1n }] }
      expect(town.codeOf(made.block, odd)).toBe('BurnNotWholeSat')
    })
  })

  it('C-2: the codes are a closed list', () => {
    expect(new Set(INVALID_BLOCK_CODES).size).toBe(INVALID_BLOCK_CODES.length)
  })
})
