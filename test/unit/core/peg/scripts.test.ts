/** Federation outputs against another implementation of BIP341 (bitcoinjs-lib), and as constants. */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { initEccLib, payments } from 'bitcoinjs-lib'
import * as ecc from 'tiny-secp256k1'
import { addressFromScript } from '../../../../core/bitcoin/index.ts'
import {
  changeOutput,
  depositPayloadScript,
  type FederationOutput,
  federationKey,
  federationOutput,
  federationScripts,
  inputWeight,
  memberLeaf,
  NO_KEYS,
  recoveryLeaf,
  type SpendTweak,
  tapLeafHash,
} from '../../../../core/peg/index.ts'
import {
  bigintFromBytes,
  concatBytes,
  hexBytes,
  sha256,
  taggedHash,
  toHex,
  uint64be,
} from '../../../../crypto/index.ts'
import { addressOf, PINNED, p2wpkh, testGenesis } from './world.ts'

initEccLib(ecc)
const genesis = testGenesis(PINNED)
const deposit = (name: string, refundScript: Uint8Array): SpendTweak => ({
  epoch: 0,
  deposit: { evmAddress: addressOf(name), refundScript },
})

const tweaks: readonly SpendTweak[] = [
  { epoch: 0 },
  { epoch: 1 },
  ...Array.from({ length: 12 }, (_, index) =>
    deposit(`user ${index}`, index % 2 === 0 ? new Uint8Array(0) : p2wpkh(`user ${index}`)),
  ),
]

/** The same output by bitcoinjs-lib. */
function independent({ internalKey, leafA, leafB }: FederationOutput, leaf: Uint8Array) {
  return payments.p2tr({
    internalPubkey: internalKey,
    scriptTree: [{ output: leafA }, { output: leafB }],
    redeem: { output: leaf },
  })
}

/** x(lift_x(x) + t·G) by noble. */
function tweaked(x: Uint8Array, scalar: Uint8Array): Uint8Array {
  const point = secp256k1.Point.fromHex(`02${toHex(x)}`)
  const sum = point.add(secp256k1.Point.BASE.multiply(bigintFromBytes(scalar)))
  return sum.toBytes(true).slice(1)
}

describe('5.2, 5.3: federation outputs', () => {
  it('output key, script and both control blocks are what another implementation makes', () => {
    const parities = new Set<number>()
    for (const tweak of tweaks) {
      const output = federationOutput(genesis, tweak, NO_KEYS)
      const byA = independent(output, output.leafA)
      const byB = independent(output, output.leafB)
      expect(toHex(output.scriptPubKey)).toBe(toHex(byA.output as Uint8Array))
      expect(toHex(output.outputKey)).toBe(toHex(byA.pubkey as Uint8Array))
      expect(toHex(output.controlBlockA)).toBe(toHex(byA.witness?.at(-1) as Uint8Array))
      expect(toHex(output.controlBlockB)).toBe(toHex(byB.witness?.at(-1) as Uint8Array))
      parities.add((output.controlBlockA[0] as number) & 1)
    }
    expect(parities).toEqual(new Set([0, 1]))
  })

  it('the keys follow from their definition, computed by another library', () => {
    const unspendable = hexBytes('50929b74c1a04954b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0')
    for (const epoch of [0, 1, 7]) {
      const scalar = taggedHash('millrace/nums', genesis.hash, uint64be(epoch))
      expect(toHex(federationKey(genesis, epoch, NO_KEYS))).toBe(
        toHex(tweaked(unspendable, scalar)),
      )
    }
    const key = federationKey(genesis, 0)
    expect(changeOutput(genesis, 0).internalKey).toEqual(key)
    for (const tweak of tweaks) {
      if (tweak.deposit === undefined) continue
      const { evmAddress, refundScript } = tweak.deposit
      const message = concatBytes(key, genesis.hash, evmAddress, sha256(refundScript))
      const internal = tweaked(key, taggedHash('millrace/deposit', message))
      expect(toHex(federationOutput(genesis, tweak, NO_KEYS).internalKey)).toBe(toHex(internal))
    }
  })

  it('golden: key, change, two deposits of one address', () => {
    expect(toHex(federationKey(genesis, 0))).toBe(
      '2b84b8dc545b5e9ead5567aedf1a21551479a74a1e8656691dabb1b451e0c6d2',
    )
    const addresses = [
      changeOutput(genesis, 0),
      federationOutput(genesis, deposit('alice', p2wpkh('alice')), NO_KEYS),
      federationOutput(genesis, deposit('alice', new Uint8Array(0)), NO_KEYS),
    ].map(({ scriptPubKey }) => addressFromScript(scriptPubKey, 'regtest'))
    expect(addresses).toEqual([
      'bcrt1pvys85y59g9fc54vgrcgczvarjhv3s03h940rknetsz7erja8p2zqmll9pn',
      'bcrt1p29sv28qkz4ljxaelpjt64hmmz45v3vu7t5d9sggx0fr09clwt66q4tgm2g',
      'bcrt1pzx56fzltam0n8af0cuj890ujvffjw0fvgh6zdg35tm28e8gnjmys6q9e5d',
    ])
  })

  it('leaf A: the members’ keys in ascending order, t of them; leaf B: a delay, then the cold keys', () => {
    const keys = genesis.members.map(({ schnorrKey }) => toHex(schnorrKey)).sort()
    const opcode = (index: number) => (index === 0 ? 'ac' : 'ba')
    const checks = keys.map((key, index) => `20${key}${opcode(index)}`).join('')
    expect(toHex(memberLeaf(genesis))).toBe(`${checks}539c`)
    const [cold] = genesis.recovery.schnorrKeys as [Uint8Array]
    expect(toHex(recoveryLeaf(genesis))).toBe(`02e803b27520${toHex(cold)}ac519c`)
    expect(toHex(memberLeaf({ ...genesis, members: genesis.members.toReversed() }))).toBe(
      toHex(memberLeaf(genesis)),
    )
  })

  it('numbers are minimal pushes', () => {
    const startOf = (csvBlocks: number) =>
      toHex(recoveryLeaf({ ...genesis, recovery: { ...genesis.recovery, csvBlocks } })).split(
        'b275',
      )[0]
    expect([1, 16, 17, 127, 128, 255, 256, 4320, 32_767, 32_768, 65_535].map(startOf)).toEqual([
      '51',
      '60',
      '0111',
      '017f',
      '028000',
      '02ff00',
      '020001',
      '02e010',
      '02ff7f',
      '03008000',
      '03ffff00',
    ])
  })

  it('a leaf of more than 252 bytes has its length as Bitcoin writes it', () => {
    for (const length of [0, 1, 252, 253, 300, 3400]) {
      const script = new Uint8Array(length).fill(0x51)
      const size =
        length < 253 ? Uint8Array.of(length) : Uint8Array.of(253, length & 255, length >> 8)
      expect(toHex(tapLeafHash(script))).toBe(
        toHex(taggedHash('TapLeaf', Uint8Array.of(0xc0), size, script)),
      )
    }
  })

  it('each of epoch, address, refund script and genesis gives another script', () => {
    const other = { ...genesis, hash: sha256(genesis.hash) }
    const scripts = [
      ...tweaks.map((tweak) => federationOutput(genesis, tweak, NO_KEYS)),
      federationOutput(genesis, deposit('user 0', p2wpkh('x')), NO_KEYS),
      federationOutput(genesis, { ...deposit('user 0', p2wpkh('x')), epoch: 1 }, NO_KEYS),
      changeOutput(other, 0),
    ].map(({ scriptPubKey }) => toHex(scriptPubKey))
    expect(new Set(scripts).size).toBe(scripts.length)
  })

  it('the plain scripts of all epochs so far are watched', () => {
    expect(federationScripts(genesis, 2, NO_KEYS)).toEqual(
      [0, 1, 2].map((epoch) => ({
        epoch,
        scriptPubKey: changeOutput(genesis, epoch, NO_KEYS).scriptPubKey,
      })),
    )
  })

  it('an input weighs what its witness does: leaf A with t signatures before there is a key, one signature after (§7)', () => {
    const { leafA, controlBlockA } = changeOutput(genesis, 0)
    const items = [...Array.from({ length: 3 }, () => 64), 0, leafA.length, controlBlockA.length]
    const witness = items.reduce((sum, length) => sum + 1 + length, 1)
    expect(inputWeight(genesis, 0)).toBe(4 * 41 + witness)
    // By the key: a count, a length and 64 bytes.
    expect(inputWeight(genesis, 1)).toBe(4 * 41 + 1 + 1 + 64)
  })

  it('§7: the payload of a deposit', () => {
    expect(toHex(depositPayloadScript(addressOf('alice')))).toBe(
      '6a1489c8eda569a9b0dbd56e97a904eb63ad2c6fa180',
    )
    expect(toHex(depositPayloadScript(addressOf('alice'), p2wpkh('alice')))).toBe(
      '6a2f414c59530189c8eda569a9b0dbd56e97a904eb63ad2c6fa18000146df0a0144f177813aece58e556f273dffd4fcdd2',
    )
  })
})
