/** Whole blocks, read in place: what they hold, and that nothing is left out. */
import {
  compactSize,
  headerHash,
  outpointsOf,
  readBlock,
  serializeTransaction,
  taprootsOf,
  transactionOf,
  txid,
  uint32le,
} from '../../../../core/bitcoin/index.ts'
import {
  bitcoinMerkleLeaf,
  bitcoinMerkleRoot,
  bitcoinMerkleTree,
  concatBytes,
  sha256d,
} from '../../../../crypto/index.ts'
import { FIRST_COINBASE, parsed, WITNESS } from './vectors.ts'

/** Of raw transactions under a header that commits to `ids`. */
function blockOf(bodies: readonly Uint8Array[], ids = bodies.map(idOf)) {
  const root = ids.length === 0 ? new Uint8Array(32) : bitcoinMerkleRoot(bitcoinMerkleTree(ids))
  const header = concatBytes(new Uint8Array(36).fill(7), root, new Uint8Array(12).fill(9))
  const raw = concatBytes(header, compactSize(bodies.length), ...bodies)
  return { hash: headerHash(header), raw }
}

function idOf(bytes: Uint8Array): Uint8Array {
  return txid(parsed(bytes))
}

/** To a taproot, and to what has its size. */
const TAPROOT = serializeTransaction({
  ...parsed(WITNESS),
  outputs: [Uint8Array.of(0, 32), Uint8Array.of(0x51, 32)].map((start) => ({
    amountSat: 1n,
    scriptPubKey: concatBytes(start, new Uint8Array(32).fill(5)),
  })),
})
const ALL = [FIRST_COINBASE, WITNESS, TAPROOT]
const { hash, raw } = blockOf(ALL)

describe('a block read in place', () => {
  it('gives each transaction as it lies there, what it spends, and what it pays to taproots', () => {
    const read = readBlock(hash, raw)
    if (!read.ok) throw new Error(read.error.reason)
    const block = read.value
    const all = ALL.map(parsed)
    expect(ALL.map((_, index) => transactionOf(block, index))).toEqual(ALL)
    expect(transactionOf(block, 3)).toBeUndefined()
    expect(ALL.map((_, index) => bitcoinMerkleLeaf(block.tree, index))).toEqual(ALL.map(idOf))
    expect([...outpointsOf(block)]).toEqual(
      all.flatMap(({ inputs }, index) =>
        inputs.map((input) => ({ index, outpoint: concatBytes(input.txid, uint32le(input.vout)) })),
      ),
    )
    const script = all[2]?.outputs[1]?.scriptPubKey
    expect([...taprootsOf(block)]).toEqual([{ index: 2, vout: 1, script }])
  })

  it.each<[string, readonly Uint8Array[]]>([
    ['without the last one', ALL.slice(0, 2)],
    ['in another order', [...ALL].reverse()],
    ['with one more', [...ALL, FIRST_COINBASE]],
    ['without any', []],
  ])('PI-12: %s it is not the block of its header', (_, bodies) => {
    const changed = blockOf(bodies, ALL.map(idOf))
    expect(readBlock(changed.hash, changed.raw)).toMatchObject({
      ok: false,
      error: { reason: 'not the transactions of its header' },
    })
  })

  it('PI-12: the last one twice, which has the same root (CVE-2012-2459), is not', () => {
    const twice = blockOf([...ALL, TAPROOT], ALL.map(idOf))
    expect(blockOf([...ALL, TAPROOT]).hash).toEqual(twice.hash)
    expect(readBlock(twice.hash, twice.raw)).toMatchObject({
      ok: false,
      error: { reason: 'not the transactions of its header' },
    })
  })

  it('PI-12: a block under another hash is refused', () => {
    expect(readBlock(sha256d(hash), raw)).toMatchObject({
      ok: false,
      error: { reason: 'a block under another hash' },
    })
  })

  it('every shortening and every trailing byte is refused (C-7)', () => {
    for (let length = 0; length < raw.length; length++) {
      expect(readBlock(hash, raw.subarray(0, length))).toMatchObject({ ok: false })
    }
    expect(readBlock(hash, concatBytes(raw, Uint8Array.of(0)))).toEqual({
      ok: false,
      error: { code: 'BlockMalformed', reason: '1 trailing bytes' },
    })
    expect(readBlock(hash, new Uint8Array(4_000_001))).toMatchObject({ ok: false })
  })

  it('any byte changed gives a value or a reason, never a throw (C-7)', () => {
    for (let at = 80; at < raw.length; at++) {
      for (const changed of [0, 0x41, 0xfd, 0xff]) {
        const bytes = Uint8Array.from(raw)
        bytes[at] = changed
        expect(() => readBlock(hash, bytes)).not.toThrow()
      }
    }
  })
})
