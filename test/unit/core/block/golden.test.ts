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
import { testGenesis } from '../peg/world.ts'

const genesis = testGenesis()
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
      '351d47e4bfb0325f458dc2aa7f8f3076ba1b9a9b0ac72c494c73b3fec091f0af',
    )
    expect(toHex(genesis.paramsHash)).toBe(
      '677398b8b183214fda43bcc54b487094925caa0bf1354f84231aae02cd1f9959',
    )
  })

  it('the hash of block 0, of a header, of an empty body, and of no evidence', () => {
    const head = genesisHead(genesis)
    expect(head.header).toEqual(genesisHeader(genesis, ledgerRoot(genesisLedger(genesis))))
    expect(toHex(head.hash)).toBe(
      'bae56b7fd164d757d60d71906cdece3537f5e42625b241fac4bc99de2ce0fd0e',
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
      '05473ba65898ff66f548e3c4028f9a471b64f1f70a9ccbe4f3fa14c732ad2875',
    )
    expect(toHex(bodyRoot(BlockBodyType.defaultValue()))).toBe(
      'e96516d1fcf1fbe3bdb868bd1b7682d744260812d672e7aa0935406350147e52',
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
      proposal: '2eac133f9cb6a0f25991622fc75bfc52ed37c77d4968ed28b4fdc520735b122d',
      prepare: 'cead7b381cceea68a93a52297be59fff7191d0cd9a58771e874eb29856a566da',
      commit: 'f25ed471e5139ab61022492a4d9fc3b999d3eec9c440b9b95ad30e9f327571ec',
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
      '79062ecb1056b7e791dcd1c76a5f37645d86c7b800666790507c05aa24f691c3',
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
        '96a3dada3d696007adb657a89f00f39feaf8728b5079e7aac43325367c800de54c1e265e57ad80ebe720a26d',
        'fb26b4d20b3f83cc169063ec5c0fb8a7053d4fd0661b96e43691fe74508f766f35407702f332f7d162ae6828',
        '3cd8e9689a4750de',
        // 0, 1 and 2 of four, and the bit that ends the list.
        '17',
      ].join(''),
    )
    const decoded = decodeCertificate(encoded)
    if (!decoded.ok) throw new Error(decoded.error.reason)
    expect(decoded.value.bitmap.getTrueBitIndexes()).toEqual([0, 1, 2])
  })
})
