import { canonicalJson } from '../../../../core/params/canonical-json.ts'
import {
  type GenesisFile,
  genesisDigest,
  genesisHash,
  hashParams,
  memberThreshold,
  PROTOCOL_VERSION,
  parseGenesis,
} from '../../../../core/params/index.ts'
import {
  blsKeyPair,
  blsSigner,
  blsSuite,
  provePossession,
  schnorrPublicKey,
  toHex,
} from '../../../../crypto/index.ts'
import { seeded, testGenesis } from '../peg/world.ts'

const good = testGenesis().file

/** The reason why the changed file is none; undefined when it is one. */
function reasonOf(change: (file: Mutable) => void): string | undefined {
  const file = structuredClone(good) as Mutable
  change(file)
  const parsed = parseGenesis(file, blsSuite)
  return parsed.ok ? undefined : parsed.error.reason
}

type Mutable = { -readonly [K in keyof GenesisFile]: GenesisFile[K] }

describe('the canonical text', () => {
  it('sorts names, leaves out what is undefined and writes no spaces', () => {
    expect(canonicalJson({ b: [1, 'x', null, true], a: { d: -5, c: undefined } })).toBe(
      '{"a":{"d":-5},"b":[1,"x",null,true]}',
    )
  })

  it('C-5: takes no number that is not an integer within 2^53', () => {
    for (const value of [0.5, 1e300, Number.NaN, 2 ** 53, Number.NEGATIVE_INFINITY]) {
      expect(() => canonicalJson(value)).toThrow('not an integer')
    }
  })

  it('escapes texts as JSON does', () => {
    expect(canonicalJson({ 'a"': '\n\u0001é' })).toBe('{"a\\"":"\\n\\u0001é"}')
  })
})

describe('the genesis file', () => {
  it('a good one becomes bytes and bigints', () => {
    const parsed = parseGenesis(JSON.parse(JSON.stringify(good)), blsSuite)
    if (!parsed.ok) throw new Error(parsed.error.reason)
    const genesis = parsed.value
    expect(genesis.params.minPegInSat).toBe(10_000n)
    expect(genesis.validators[0]?.blsKey).toHaveLength(48)
    expect(genesis.bitcoin.checkpoint.chainWork).toBe(2n)
    expect(genesis.memberThreshold).toBe(3)
    expect(genesis.hash).toEqual(genesisHash(good))
    expect(genesis.paramsHash).toEqual(hashParams(good.params))
    expect(genesisDigest(genesis)).toBe(toHex(genesis.hash).slice(0, 8))
  })

  it('its identity does not depend on the order of its members, and on everything else', () => {
    const shuffled = Object.fromEntries(Object.entries(good).reverse()) as GenesisFile
    expect(genesisHash(shuffled)).toEqual(genesisHash(good))
    const renamed = { ...good, name: 'other' }
    expect(genesisHash(renamed)).not.toEqual(genesisHash(good))
    const params = { ...good.params, slotMs: 2000 }
    expect(hashParams(params)).not.toEqual(hashParams(good.params))
  })

  it('C-7: anything that is none gets a reason', () => {
    for (const value of [undefined, null, 0, 'text', [], {}, { ...good, extra: 1 }, Symbol('x')]) {
      const parsed = parseGenesis(value, blsSuite)
      expect(parsed).toMatchObject({ ok: false, error: { code: 'GenesisInvalid' } })
    }
  })

  it('of other rules is refused by what it names, whatever else is in it (§7)', () => {
    const refused = (value: unknown) => {
      const parsed = parseGenesis(value, blsSuite)
      return parsed.ok ? undefined : parsed.error.reason
    }
    for (const version of [0, 2, 1000]) {
      const text = `the chain has the rules of version ${version}, this program has those of ${PROTOCOL_VERSION}: run the release`
      expect(refused({ ...good, protocolVersion: version })).toContain(text)
      expect(refused({ protocolVersion: version, newField: {} })).toContain(text)
    }
    for (const version of [undefined, '1', 1.5, -1, null]) {
      expect(refused({ ...good, protocolVersion: version })).toMatch(/^protocolVersion: Invalid/)
    }
  })

  it('BP-2: slots are whole seconds', () => {
    const slotMs = (value: number) =>
      reasonOf((file) => {
        file.params = { ...file.params, slotMs: value }
      })
    expect(slotMs(1500)).toContain('params.slotMs')
    expect(slotMs(500)).toContain('params.slotMs')
    expect(slotMs(61_000)).toContain('params.slotMs')
    expect(slotMs(2000)).toBeUndefined()
  })

  it('3.3: outside regtest no open gate, no few confirmations, no resting difficulty, no short delay', () => {
    const onMain = (change: (file: Mutable) => void) =>
      reasonOf((file) => {
        file.bitcoin = { ...file.bitcoin, network: 'main', noRetargeting: false }
        file.params = { ...file.params, anchorGate: 'bridge', pegInConfirmations: 6 }
        file.recovery = { ...file.recovery, csvBlocks: 4320 }
        change(file)
      })
    expect(onMain(() => undefined)).toBeUndefined()
    const params = (changes: Partial<GenesisFile['params']>) =>
      onMain((file) => {
        file.params = { ...file.params, ...changes }
      })
    expect(params({ anchorGate: 'off' })).toContain('anchorGate')
    expect(params({ pegInConfirmations: 5 })).toContain('pegInConfirmations')
    expect(
      onMain((file) => {
        file.bitcoin = { ...file.bitcoin, noRetargeting: true }
      }),
    ).toContain('noRetargeting')
    expect(
      onMain((file) => {
        file.recovery = { ...file.recovery, csvBlocks: 4319 }
      }),
    ).toContain('csvBlocks')
  })

  it('amounts and rates fit one another', () => {
    const params = (changes: Partial<GenesisFile['params']>) =>
      reasonOf((file) => {
        file.params = { ...file.params, ...changes }
      })
    expect(params({ minPegInSat: 200, maxPegInSat: 300 })).toContain('minPegInSat')
    expect(params({ maxPegInSat: 9999 })).toContain('minPegInSat exceeds')
    expect(params({ pegInFeeSat: 10_000 })).toContain('pegInFeeSat')
    expect(params({ minPegOutSat: 545 })).toContain('minPegOutSat')
    expect(params({ minFeeRateSatPerKvb: 5000, maxFeeRateSatPerKvb: 4999 })).toContain(
      'minFeeRateSatPerKvb exceeds',
    )
    expect(params({ maxFeeRateSatPerKvb: 1_000_001 })).toContain('maxFeeRateSatPerKvb')
  })

  it('keys: each holder shows possession, none stands twice, and all are points', () => {
    const [first, second] = good.validators as [
      GenesisFile['validators'][0],
      GenesisFile['validators'][0],
    ]
    const [member] = good.members as [GenesisFile['members'][0]]
    const validators = (...changed: GenesisFile['validators']) =>
      reasonOf((file) => {
        file.validators = changed
      })
    const members = (...changed: GenesisFile['members']) =>
      reasonOf((file) => {
        file.members = changed
      })
    expect(validators({ ...first, possession: second.possession })).toContain('possession')
    expect(validators(first, first)).toContain('stands twice')
    expect(members({ ...member, blsKey: first.blsKey, possession: first.possession })).toContain(
      'stands twice',
    )
    const infinity = `c0${'00'.repeat(47)}`
    const zero = `c0${'00'.repeat(95)}`
    expect(validators({ ...first, blsKey: infinity, possession: zero })).toContain('possession')
    expect(members(member, { ...memberOf('other'), schnorrKey: member.schnorrKey })).toContain(
      'stands twice',
    )
    expect(members({ ...member, schnorrKey: 'ff'.repeat(32) })).toContain('no point')
    expect(
      reasonOf((file) => {
        file.recovery = { ...file.recovery, schnorrKeys: ['00'.repeat(32)] }
      }),
    ).toContain('no point')
    expect(
      reasonOf((file) => {
        file.recovery = { ...file.recovery, schnorrKeys: [member.schnorrKey] }
      }),
    ).toContain('stands twice')
    expect(
      reasonOf((file) => {
        file.recovery = { ...file.recovery, threshold: 2 }
      }),
    ).toContain('recovery.threshold')
    expect(validators()).toContain('validators')
  })

  it('the checkpoint is a header whose time is the last one', () => {
    const checkpoint = (changes: Partial<GenesisFile['bitcoin']['checkpoint']>) =>
      reasonOf((file) => {
        const { bitcoin } = file
        file.bitcoin = { ...bitcoin, checkpoint: { ...bitcoin.checkpoint, ...changes } }
      })
    expect(checkpoint({ header: '00' })).toContain('80 bytes')
    expect(checkpoint({ times: [] })).toContain('times')
    expect(checkpoint({ times: [good.slot, good.slot + 1] })).toContain(
      'not the time of the header',
    )
    expect(checkpoint({ times: [good.slot - 1, good.slot] })).toBeUndefined()
    expect(checkpoint({ times: Array.from({ length: 12 }, () => 1) })).toContain('times')
    expect(checkpoint({ chainWork: 'zz' })).toContain('chainWork')
  })

  it('5.1: t = floor(2n/3) + 1', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 10, 15, 100].map(memberThreshold)).toEqual([
      1, 2, 3, 3, 4, 5, 5, 7, 11, 67,
    ])
  })
})

function memberOf(name: string): GenesisFile['members'][0] {
  const { publicKey, secretKey } = blsKeyPair(seeded(name))
  return {
    blsKey: toHex(publicKey),
    possession: toHex(provePossession(blsSigner(secretKey))),
    schnorrKey: toHex(schnorrPublicKey(seeded(`${name} schnorr`))),
  }
}
