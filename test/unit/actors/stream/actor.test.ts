import { STREAM_ROWS, streamActor } from '../../../../actors/stream/index.ts'
import { encodeValidators, PegInClaimType } from '../../../../core/block/index.ts'
import {
  decodeLedgerProof,
  genesisLedger,
  ledgerRoot,
  verifyRow,
} from '../../../../core/ledger/index.ts'
import { toDisplayHash } from '../../../../crypto/index.ts'
import type {
  GovernanceApprovalRequest,
  MemberList,
  RequestSignatureParts,
} from '../../../../messages/index.ts'
import type { MemberBody, NonceOfferBytes } from '../../../../proto/index.ts'
import { edgesOf } from '../../../../supervisor/index.ts'
import { BitcoinWorld, claimOf, depositOf, seeded, testGenesis } from '../../core/peg/world.ts'
import { StreamWorld } from './world.ts'

const genesis = testGenesis()
const bitcoin = new BitcoinWorld()
const deposit = depositOf(genesis, 'alice', 1_000_000n)
bitcoin.mine([deposit])
const claim = claimOf(bitcoin, deposit)
const outpoint = `${toDisplayHash(claim.txid)}:0`
const claimRoot = PegInClaimType.hashTreeRoot(claim)
const wantApproval: GovernanceApprovalRequest = {
  type: 'stream.GovernanceApprovalRequest',
  payload: { outpoint, membersEpoch: 0, claim },
}
const batchId = 'ab'.repeat(32)

function wantSignatures(attempt: number) {
  return {
    type: 'stream.RequestFederationSignatures',
    payload: { batchId, version: 0, attempt, height: 7 },
  } as const
}

type Changes = Partial<Extract<MemberBody, { kind: 'approvalResponse' }>>

function approval(changes: Changes = {}): MemberBody {
  return {
    kind: 'approvalResponse',
    outpoint,
    claimRoot,
    decision: 'APPROVED',
    code: '',
    retryAfterMs: 0,
    signature: new Uint8Array(96).fill(1),
    ...changes,
  }
}

const nonces = (member: number): NonceOfferBytes => ({
  member,
  serial: 0,
  commitments: [new Uint8Array(66)],
  signature: new Uint8Array(64),
})

const wantParts: RequestSignatureParts = {
  type: 'stream.RequestSignatureParts',
  payload: { batchId, version: 0, attempt: 0, list: [nonces(0), nonces(2), nonces(3)] },
}

function offering(
  changes: Partial<Extract<MemberBody, { kind: 'signatureResponse' }>> = {},
): MemberBody {
  return {
    kind: 'signatureResponse',
    batchId: new Uint8Array(32).fill(0xab),
    version: 0,
    attempt: 0,
    decision: 'APPROVED',
    code: '',
    retryAfterMs: 0,
    offers: [nonces(0)],
    ...changes,
  }
}

function signing(
  changes: Partial<Extract<MemberBody, { kind: 'partsResponse' }>> = {},
): MemberBody {
  return {
    kind: 'partsResponse',
    batchId: new Uint8Array(32).fill(0xab),
    version: 0,
    attempt: 0,
    decision: 'APPROVED',
    code: '',
    listHash: new Uint8Array(32).fill(1),
    parts: [new Uint8Array(32), new Uint8Array(64)],
    signature: new Uint8Array(64),
    offers: [{ ...nonces(0), serial: 1 }],
    ...changes,
  }
}

const asked = (world: StreamWorld, member: number) =>
  world.kinds(member).filter((kind) => kind === 'requestFederationApproval').length

describe('the modes of the StreamActor', () => {
  it('are Initializing → Running ⇄ Degraded → Stopping (design §3)', () => {
    const { machine } = streamActor({
      genesisHash: genesis.hash,
      memberCount: 4,
      memberThreshold: 3,
    })
    const edges = edgesOf(machine).map(({ from, to }) => `${from} → ${to}`)
    expect([...edges].sort()).toEqual([
      'Degraded → Running',
      'Degraded → Stopping',
      'Initializing → Running',
      'Running → Degraded',
      'Running → Stopping',
    ])
  })

  it('follow whether the threshold of members is connected', async () => {
    const world = await new StreamWorld().start()
    expect(world.state()).toBe('Degraded')
    await world.connect(0, 1, 2)
    expect(world.state()).toBe('Running')
    await world.disconnect(1)
    expect(world.state()).toBe('Degraded')
    await world.stop()
  })
})

describe('an approval', () => {
  it('is asked of every member that is connected, in the flow of the deposit (PI-10)', async () => {
    const world = await new StreamWorld().start()
    await world.connect(0, 2)
    await world.tell(wantApproval)
    expect([0, 1, 2, 3].map((member) => asked(world, member))).toEqual([1, 0, 1, 0])
    const { message } = world.sent.find(({ message }) => message.requestId === outpoint) ?? {}
    expect(message).toMatchObject({
      correlationId: 'flow',
      body: { genesisHash: genesis.hash, outpoint, membersEpoch: 0 },
    })
    await world.stop()
  })

  it("is told to Bridge once per member's answer", async () => {
    const world = await new StreamWorld().start()
    await world.connect(0, 1)
    await world.tell(wantApproval)
    await world.answer(0, outpoint, approval())
    await world.answer(
      1,
      outpoint,
      approval({ decision: 'REFUSED', code: 'AmountWrong', signature: new Uint8Array(0) }),
    )
    expect(world.told.map(({ payload }) => payload)).toEqual([
      { outpoint, memberIndex: 0, approved: true, signature: new Uint8Array(96).fill(1) },
      { outpoint, memberIndex: 1, approved: false, reason: 'AmountWrong' },
    ])
    await world.stop()
  })

  it.each([
    ['answers another claim', { claimRoot: seeded('other') }],
    ['has a short signature', { signature: new Uint8Array(12) }],
  ] as [string, Changes][])('that %s is not told', async (_, changes) => {
    const world = await new StreamWorld().start()
    await world.connect(0)
    await world.tell(wantApproval)
    await world.answer(0, outpoint, approval(changes))
    await world.answer(0, 'never asked', approval())
    expect(world.told).toEqual([])
    expect(world.ports.log.records.map(({ event }) => event)).toContain('member message ignored')
    await world.stop()
  })

  it('is asked again after 30 s of silence, under the same id, and after Unknown when it may be', async () => {
    const world = await new StreamWorld().start()
    await world.connect(0)
    await world.tell(wantApproval)
    await world.tell(wantApproval)
    await world.ports.clock.advance(29_000)
    expect(asked(world, 0)).toBe(1)
    await world.ports.clock.advance(2_000)
    expect(asked(world, 0)).toBe(2)
    const signature = new Uint8Array(0)
    await world.answer(
      0,
      outpoint,
      approval({ decision: 'UNKNOWN', code: 'NotConfirmed', retryAfterMs: 2_000, signature }),
    )
    expect(world.told).toEqual([])
    await world.ports.clock.advance(3_000)
    expect(asked(world, 0)).toBe(3)
    const ids = world.sent.map(({ message }) => message.requestId).filter((id) => id !== '')
    expect(new Set(ids)).toEqual(new Set([outpoint]))
    await world.stop()
  })

  it('is asked at once of a member that comes back without having answered (GV-10)', async () => {
    const world = await new StreamWorld().start()
    await world.connect(0)
    await world.tell(wantApproval)
    await world.disconnect(0)
    await world.connect(0)
    expect(asked(world, 0)).toBe(2)
    await world.stop()
  })

  it('is not asked again of a member that gave it, and told again to a Bridge that asks again (GV-5)', async () => {
    const world = await new StreamWorld().start()
    await world.connect(0)
    await world.tell(wantApproval)
    await world.answer(0, outpoint, approval())
    await world.disconnect(0)
    await world.connect(0)
    await world.tell(wantApproval)
    await world.ports.clock.advance(60_000)
    expect(asked(world, 0)).toBe(1)
    expect(world.told).toHaveLength(2)
    expect(world.told[1]).toEqual(world.told[0])
    await world.stop()
  })

  it('starts afresh when the claim of an outpoint changes', async () => {
    const world = await new StreamWorld().start()
    await world.connect(0)
    await world.tell(wantApproval)
    await world.answer(0, outpoint, approval())
    const moved = { ...claim, proof: { ...claim.proof, blockHash: seeded('other block') } }
    await world.tell({ ...wantApproval, payload: { outpoint, membersEpoch: 0, claim: moved } })
    expect(asked(world, 0)).toBe(2)
    await world.answer(0, outpoint, approval())
    expect(world.told).toHaveLength(1)
    await world.stop()
  })
})

describe('signatures', () => {
  it('begin with the members’ offers, told to Bridge under their attempt; each attempt asks anew', async () => {
    const world = await new StreamWorld().start()
    await world.connect(0, 1)
    await world.tell(wantSignatures(0))
    // What more of them comes costs nobody anything.
    for (let time = 0; time < 3; time++) await world.answer(0, `${batchId}:0:0`, offering())
    // Asked again, Bridge hears what is known already.
    await world.tell(wantSignatures(0))
    await world.tell(wantSignatures(1))
    const refused = { attempt: 1, decision: 'REFUSED', code: 'PaysStranger', offers: [] } as const
    await world.answer(1, `${batchId}:0:1`, offering(refused))
    // The first attempt is over.
    await world.answer(1, `${batchId}:0:0`, offering())
    const id = { batchId, version: 0 }
    expect(world.told.map(({ payload }) => payload)).toEqual([
      { ...id, attempt: 0, memberIndex: 0, offer: nonces(0) },
      { ...id, attempt: 0, memberIndex: 0, offer: nonces(0) },
      { ...id, attempt: 1, memberIndex: 1, reason: 'PaysStranger' },
    ])
    await world.stop()
  })

  it.each([
    ['of another batch', { batchId: new Uint8Array(32) }],
    ['of another version', { version: 3 }],
    ['of another attempt', { attempt: 3 }],
    ['that are two', { offers: [nonces(0), nonces(0)] }],
    ['that are none', { offers: [] }],
    [
      'that are too long',
      { offers: [{ ...nonces(0), commitments: Array(51).fill(new Uint8Array(66)) }] },
    ],
  ])('offers %s are not told', async (_, changes) => {
    const world = await new StreamWorld().start()
    await world.connect(0)
    await world.tell(wantSignatures(0))
    await world.answer(0, `${batchId}:0:0`, offering(changes))
    expect(world.told).toEqual([])
    await world.stop()
  })

  it('go on with the members of a list, and with nobody else', async () => {
    const world = await new StreamWorld().start()
    await world.connect(0, 1, 2, 3)
    await world.tell(wantParts)
    const asked = [0, 1, 2, 3].map((member) =>
      world.kinds(member).filter((kind) => kind === 'partsRequest'),
    )
    expect(asked.map(({ length }) => length)).toEqual([1, 0, 1, 1])
    await world.stop()
  })

  it('parts are told before the next offer, both as their member’s, once for each time that they were asked for (5.5)', async () => {
    const world = await new StreamWorld().start()
    await world.connect(1, 2)
    // Nobody asked, and the list is of others.
    await world.answer(2, 'any', signing())
    await world.tell(wantParts)
    await world.answer(1, 'any', signing())
    expect(world.told).toEqual([])
    for (let time = 0; time < 3; time++) await world.answer(2, 'any', signing())
    const id = { batchId, version: 0, attempt: 0, memberIndex: 2 }
    expect(world.told).toEqual([
      {
        type: 'bridge.CollectedSignatures',
        payload: {
          ...id,
          parts: {
            member: 2,
            listHash: new Uint8Array(32).fill(1),
            parts: [new Uint8Array(32), new Uint8Array(64)],
            signature: new Uint8Array(64),
          },
        },
      },
      { type: 'bridge.NonceOfferReceived', payload: { ...id, offer: { ...nonces(0), serial: 1 } } },
    ])
    await world.stop()
  })

  it.each([
    ['too many', { parts: Array(51).fill(new Uint8Array(32)) }],
    ['too long', { parts: [new Uint8Array(65)] }],
    ['of no batch', { batchId: new Uint8Array(3) }],
    ['with two offers', { offers: [nonces(0), nonces(0)] }],
  ])('parts that are %s are not told', async (_, changes) => {
    const world = await new StreamWorld().start()
    await world.connect(2)
    await world.tell(wantParts)
    await world.answer(2, 'any', signing(changes))
    expect(world.told).toEqual([])
    await world.stop()
  })
})

describe("members' queries", () => {
  it('are answered with headers and status', async () => {
    const world = await new StreamWorld().start()
    await world.connect(3)
    await world.answer(3, 'h', { kind: 'headerRequest', fromHeight: 0, count: 10 })
    await world.answer(3, 's', { kind: 'chainStatusRequest' })
    const bodies = world.sent.filter(({ message }) => message.requestId !== '')
    expect(bodies.map(({ message }) => [message.requestId, message.body.kind])).toEqual([
      ['h', 'certifiedHeaders'],
      ['s', 'chainStatus'],
    ])
    expect(bodies[1]?.message.body).toMatchObject({ height: 0, connectedMembers: 1 })
    await world.stop()
  })

  it('for one header alone are answered with the validators after it: who begins there has to know them (5.6)', async () => {
    const world = await new StreamWorld().start()
    await world.connect(3)
    for (const count of [1, 2]) {
      await world.answer(3, 'h', { kind: 'headerRequest', fromHeight: 0, count })
    }
    const shown = world.sent.flatMap(({ message: { body } }) =>
      body.kind === 'certifiedHeaders' ? body.headers.map((each) => each.nextValidators) : [],
    )
    expect(shown).toEqual([encodeValidators(genesis.validators), new Uint8Array(0)])
    await world.stop()
  })

  it('about rows are answered with proofs of presence and of absence', async () => {
    const world = await new StreamWorld().start()
    await world.connect(0)
    const ledger = genesisLedger(genesis)
    const tip = ledger.state.tipHash
    const rows = [
      { set: 'headers', key: tip },
      { set: 'requests', key: seeded('nothing') },
    ]
    const query = {
      kind: 'ledgerProofRequest',
      rows,
      batchId: new Uint8Array(0),
      version: 0,
    } as const
    await world.answer(0, 'p', query)
    const body = world.sent.at(-1)?.message.body
    if (body?.kind !== 'ledgerProof') throw new Error(`got ${body?.kind}`)
    const [present, absent] = body.rows
    const root = ledgerRoot(ledger)
    const proof = decodeLedgerProof(present?.proof as Uint8Array)
    if (proof === undefined || present === undefined) throw new Error('no proof')
    expect(verifyRow(root, proof, 'headers', tip, present.row)).toBe(true)
    const other = decodeLedgerProof(absent?.proof as Uint8Array)
    if (other === undefined) throw new Error('no proof')
    expect(absent?.present).toBe(false)
    expect(verifyRow(root, other, 'requests', seeded('nothing'), undefined)).toBe(true)
    await world.stop()
  })

  it.each([
    [
      'an unknown set',
      {
        kind: 'ledgerProofRequest',
        rows: [{ set: 'secrets', key: new Uint8Array(1) }],
        batchId: new Uint8Array(0),
        version: 0,
      },
    ],
    [
      'an unknown batch',
      { kind: 'ledgerProofRequest', rows: [], batchId: new Uint8Array(32), version: 0 },
    ],
    [
      'too many rows',
      {
        kind: 'ledgerProofRequest',
        rows: Array.from({ length: 513 }, () => ({ set: 'headers', key: new Uint8Array(32) })),
        batchId: new Uint8Array(0),
        version: 0,
      },
    ],
    ['no headers at all', { kind: 'headerRequest', fromHeight: 0, count: 0 }],
  ] as [string, MemberBody][])(
    'about %s are errors, and the stream stays up (GV-1)',
    async (_, query) => {
      const world = await new StreamWorld().start()
      await world.connect(0)
      await world.answer(0, 'q', query)
      expect(world.sent.at(-1)?.message).toMatchObject({
        requestId: 'q',
        body: { kind: 'errorResponse', code: 'INVALID_REQUEST' },
      })
      await world.stop()
    },
  )

  it('are unavailable until the chain is loaded', async () => {
    const world = await new StreamWorld().start()
    world.loaded = false
    await world.connect(0)
    await world.answer(0, 'q', { kind: 'chainStatusRequest' })
    expect(world.sent.at(-1)?.message.body).toMatchObject({ code: 'UNAVAILABLE' })
    await world.stop()
  })

  it('do not grow beyond 16 of one member at a time', async () => {
    const world = await new StreamWorld().start()
    await world.connect(0)
    const body = { kind: 'headerRequest', fromHeight: 0, count: 1 } as const
    await Promise.all(Array.from({ length: 40 }, (_, index) => world.answer(0, `q${index}`, body)))
    const kinds = world.kinds(0)
    expect(kinds.filter((kind) => kind !== 'newHead')).toHaveLength(40)
    await world.answer(0, 'later', body)
    expect(world.sent.at(-1)?.message.body.kind).toBe('certifiedHeaders')
    await world.stop()
  })
})

describe('every member', () => {
  it('hears of new heads', async () => {
    const world = await new StreamWorld().start()
    await world.connect(0, 1)
    await world.commit()
    expect(world.kinds(0)).toEqual(['newHead', 'newHead'])
    expect(world.kinds(1)).toEqual(['newHead', 'newHead'])
    await world.stop()
  })

  it('is listed with its connection and when it was last heard of', async () => {
    const world = await new StreamWorld().start()
    await world.connect(2)
    const asking = world.system.ask(
      'stream',
      { type: 'stream.GetConnectedMembers', payload: {} },
      { timeoutMs: 1_000 },
    )
    await world.settle()
    const list = await asking
    if (!list.ok) throw new Error(list.error.code)
    const { members } = (list.value as MemberList).payload
    expect(members.map(({ connected }) => connected)).toEqual([false, false, true, false])
    expect(members[2]?.lastSeenMs).toBe(world.ports.clock.nowMs())
    await world.stop()
  })
})

describe('the registry rows of the room', () => {
  it('are unique', () => {
    const types = STREAM_ROWS.map(({ type }) => type)
    expect(new Set(types).size).toBe(types.length)
  })
})
