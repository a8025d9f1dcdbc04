/**
 * Bytes that two nodes must agree on (protocol §7). A change here is a change of the protocol: the constants were computed once and
 * stand here; where a hash has a definition in words, it is computed a second time from those words alone.
 */
import { createHash } from 'node:crypto'
import {
  authorMessage,
  BlockBodyType,
  blockHash,
  bodyRoot,
  decodeCertificate,
  encodeCertificate,
  evidenceRoot,
  genesisHeader,
  hashMembers,
  hashValidators,
  mixRandao,
  randaoMessage,
  viewChangeMessage,
  voteMessage,
} from '../../../../core/block/index.ts'
import { genesisHead } from '../../../../core/chain/index.ts'
import { genesisLedger, ledgerRoot } from '../../../../core/ledger/index.ts'
import { blsSign, concatBytes, hexBytes, toHex } from '../../../../crypto/index.ts'
import { certify, keyOfValidator } from '../chain/town.ts'
import { PINNED, testGenesis } from '../peg/world.ts'

const genesis = testGenesis(PINNED)
const HASH = new Uint8Array(32).fill(0xab)
const [validator] = genesis.validators as [(typeof genesis.validators)[0]]

const sha256 = (...parts: readonly Uint8Array[]) =>
  new Uint8Array(
    createHash('sha256')
      .update(concatBytes(...parts))
      .digest(),
  )

/** BIP340's tagged hash, from its words. */
const tagged = (tag: string, ...parts: readonly Uint8Array[]) => {
  const prefix = sha256(new TextEncoder().encode(tag))
  return toHex(sha256(prefix, prefix, ...parts))
}
const uint64 = (value: number) => hexBytes(value.toString(16).padStart(16, '0'))

describe('golden bytes', () => {
  it('the identity of a genesis file, and of its parameters', () => {
    expect(toHex(genesis.hash)).toBe(
      'ed3a28724886d4ee428f0d772e6d51ad62ca6789be10e37337e3fa511cfdee4b',
    )
    expect(toHex(genesis.paramsHash)).toBe(
      'd07567acd39a75678dd1dd6b0e5b50693eeaf464d1d906a5fbf6eabfd3a947c4',
    )
  })

  it('the hash of block 0, of a header, of an empty body, and of no evidence', () => {
    const head = genesisHead(genesis)
    expect(head.header).toEqual(genesisHeader(genesis, ledgerRoot(genesisLedger(genesis))))
    expect(toHex(head.hash)).toBe(
      '83721ba6a137628a172a3a36d70dedd31a6efce6ea4d243355bce4356e75628a',
    )
    const slot = 1_700_000_001
    const { secretKey } = keyOfValidator(validator.blsKey)
    const header = {
      ...head.header,
      height: 1,
      slot,
      author: validator.blsKey,
      parentHash: head.hash,
      randaoReveal: blsSign(secretKey, randaoMessage(genesis.hash, slot)),
    }
    expect(toHex(blockHash(header))).toBe(
      '8d0d0b13aaea978e61ce213560bcc5fbb4d0dddb3939c3e2e37a7260a2835bda',
    )
    expect(toHex(bodyRoot(BlockBodyType.defaultValue()))).toBe(
      '0b1c20dafa3a8eda8fd26be6d568b3297051824784ebb7319f272d6362e844ad',
    )
    // SSZ: the root of an empty list of 16 containers: five zero levels mixed with the length zero.
    let zero: Uint8Array = new Uint8Array(32)
    for (let level = 0; level < 4; level++) zero = sha256(zero, zero)
    expect(toHex(evidenceRoot([]))).toBe(toHex(sha256(zero, new Uint8Array(32))))
  })

  it('2.1: the hash covers every field of the header', () => {
    const { header } = genesisHead(genesis)
    const hashes = new Set([toHex(blockHash(header))])
    for (const [name, value] of Object.entries(header)) {
      const changed =
        typeof value === 'number' ? value + 1 : new Uint8Array(value.length).fill(0x77)
      hashes.add(toHex(blockHash({ ...header, [name]: changed })))
    }
    expect(hashes.size).toBe(1 + Object.keys(header).length)
  })

  it('the roots of the sets', () => {
    expect(toHex(hashValidators(genesis.validators))).toBe(
      'bc5a6ba58bce2f6241080f47a7deb3eb7c84814a05c4bd37a4e62a65ce96690b',
    )
    expect(toHex(hashMembers(0, genesis.memberThreshold, genesis.members))).toBe(
      'e2da04bc527970c9264205ef1bece2f87b45711c2f56e248a147ffeae18660d2',
    )
    expect(hashValidators(genesis.validators.toReversed())).not.toEqual(
      hashValidators(genesis.validators),
    )
  })

  it('BF-3: what is voted: genesis, phase, height, view, hash', () => {
    const golden = {
      proposal: 'b7c62df084eb151a42171bbe4fed013723e077cc2f5993e44b7062e7152e8cd1',
      prepare: 'cb646f4aa8e83e337718636909ca8fb20a24246389f7aa0ead924cb53d5d3185',
      commit: '5d7c406e2548c05cca739ce7a4cbfebfed87ddd203058a728444bc22e194d3e5',
    }
    for (const [index, phase] of (['proposal', 'prepare', 'commit'] as const).entries()) {
      const message = toHex(voteMessage(genesis.hash, phase, 7, 3, HASH))
      expect(message).toBe(golden[phase])
      const parts = [genesis.hash, Uint8Array.of(index), uint64(7), uint64(3), HASH]
      expect(message).toBe(tagged('millrace/vote', ...parts))
    }
  })

  it('what a change of view, an author and a reveal sign', () => {
    expect(toHex(viewChangeMessage(genesis.hash, 7, 3, []))).toBe(
      tagged('millrace/view-change', genesis.hash, uint64(7), uint64(3), new Uint8Array(32)),
    )
    const certificate = certify(genesis, 7, HASH, [0, 1, 2], { view: 2, phase: 'prepare' })
    expect(toHex(viewChangeMessage(genesis.hash, 7, 3, [certificate]))).toBe(
      'fd85cf10993c0f9cf6d3764a3c0340d6d075d5484c6210fe8fd367e96d04ac6f',
    )
    expect(toHex(authorMessage(genesis.hash, { height: 7, slot: 9 }, HASH))).toBe(
      tagged('millrace/block', genesis.hash, uint64(7), uint64(9), HASH),
    )
    expect(toHex(randaoMessage(genesis.hash, 1_700_000_001))).toBe(
      tagged(
        'millrace/randao',
        genesis.hash,
        new TextEncoder().encode('randao'),
        uint64(1_700_000_001),
      ),
    )
    const reveal = new Uint8Array(96).fill(1)
    expect(mixRandao(HASH, reveal)).toEqual(sha256(HASH, reveal))
  })

  it('every message is of its own domain: no two are the same bytes for the same fields', () => {
    const messages = [
      ...(['proposal', 'prepare', 'commit'] as const).map((phase) =>
        voteMessage(genesis.hash, phase, 1, 1, HASH),
      ),
      viewChangeMessage(genesis.hash, 1, 1, []),
      authorMessage(genesis.hash, { height: 1, slot: 1 }, HASH),
      randaoMessage(genesis.hash, 1),
    ].map(toHex)
    expect(new Set(messages).size).toBe(messages.length)
    const foreign = voteMessage(HASH, 'commit', 1, 1, HASH)
    expect(messages).not.toContain(toHex(foreign))
  })

  it('§7: bitmaps are LSB first in set order', () => {
    const encoded = encodeCertificate(certify(genesis, 7, HASH))
    expect(toHex(encoded)).toBe(
      [
        '0700000000000000',
        '0000000000000000',
        'ab'.repeat(32),
        '94000000',
        'a97b593ac1e66426cb0d78d503f6b158d09899e3fc0d5487db9491031a5ae07137a5b604e69c5be77615d4b9',
        '98676f33150c46cff93ab4dec14807befe6059f33ade3fee1c7f6f347320b61d0b19b6789c91c2932d2843f4',
        'a24f88219c5a1e88',
        // 0, 1 and 2 of four, and the bit that ends the list.
        '17',
      ].join(''),
    )
    const decoded = decodeCertificate(encoded)
    if (!decoded.ok) throw new Error(decoded.error.reason)
    expect(decoded.value.bitmap.getTrueBitIndexes()).toEqual([0, 1, 2])
  })
})
