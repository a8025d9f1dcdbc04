import { batchToSign, signingTask, type UnsignedBatch } from '../../../bridge/index.ts'
import { approvalMessage, NO_KEYS } from '../../../core/peg/index.ts'
import { joinParts, offerFault } from '../../../core/signing/index.ts'
import { blsVerify } from '../../../crypto/index.ts'
import type { NonceOfferBytes } from '../../../proto/index.ts'
import { worldWithBatch } from '../bridge/world.ts'
import {
  addressOf,
  BitcoinWorld,
  claimOf,
  depositOf,
  seeded,
  testGenesis,
} from '../core/peg/world.ts'
import { TestSigner } from '../core/signing/together.ts'
import { bitcoinOf, HeaderChain, MemberWorld, TestNode } from './world.ts'

const NOTHING = new Uint8Array(0)
const genesis = testGenesis()
const bitcoin = new BitcoinWorld()
const deposit = depositOf(genesis, 'alice', 2_000_000n)
bitcoin.mine([deposit])
bitcoin.mine([], 2)
const claim = claimOf(bitcoin, deposit)

async function memberWith(nodes: number, over = bitcoin) {
  const chain = new HeaderChain(genesis)
  const all = Array.from({ length: nodes }, () => new TestNode(chain))
  const member = new MemberWorld({ genesis, nodes: all, bitcoin: bitcoinOf(over) })
  await member.start()
  return { chain, member, nodes: all, node: all[0] as TestNode }
}

const gone = { kind: 'unknown', code: 'BitcoinUnreachable' } as const
const awayBitcoin = { sight: async () => gone, coins: async () => gone }

describe('a member that is asked about a deposit', () => {
  it('signs the approval message of the claim for every node that asks, once (PI-10)', async () => {
    const { member, nodes } = await memberWith(3)
    for (const node of nodes) node.askApproval(claim)
    await member.settle()
    for (const node of nodes) {
      const [answer] = node.answers('approvalResponse')
      expect(answer).toMatchObject({ decision: 'APPROVED', code: '' })
      const message = approvalMessage(genesis, 'pegIn', 0, claim)
      const key = genesis.members[0]?.blsKey as Uint8Array
      expect(blsVerify(key, message, answer?.signature as Uint8Array)).toBe(true)
    }
    expect(member.lines).toHaveLength(1)
    await member.stop()
  })

  it('has the approval on disk before anybody gets it', async () => {
    const { member, node } = await memberWith(1)
    const answersThen: number[] = []
    member.onAppend = () => answersThen.push(node.answers('approvalResponse').length)
    node.askApproval(claim)
    await member.settle()
    expect(answersThen).toEqual([0])
    expect(node.answers('approvalResponse')).toHaveLength(1)
    await member.stop()
  })

  it('gives the same answer after a restart, even when its Bitcoin is away', async () => {
    const { member, node } = await memberWith(1)
    node.askApproval(claim)
    await member.settle()
    const [first] = node.answers('approvalResponse')
    await member.stop()
    const away = new MemberWorld({
      genesis,
      nodes: [node],
      bitcoin: awayBitcoin,
    })
    away.lines.push(...member.lines)
    await away.start()
    node.askApproval(claim)
    await away.settle()
    expect(node.answers('approvalResponse')[1]).toEqual(first)
    expect(away.lines).toHaveLength(1)
    await away.stop()
  })

  it.each([
    ['another amount', { ...claim, amountSat: 3_000_000n }, 'AmountWrong'],
    ['another address', { ...claim, evmAddress: addressOf('mallory') }, 'AddressWrong'],
    ['another kind', { ...claim, kind: 1, reason: 2 }, 'KindWrong'],
    ['an outpoint that is not there', { ...claim, txid: seeded('none') }, 'TransactionNotInBlock'],
  ])('refuses %s by name, and logs it with the flow', async (_, forged, code) => {
    const { member, node } = await memberWith(1)
    node.askApproval(forged)
    await member.settle()
    const [answer] = node.answers('approvalResponse')
    expect(answer).toMatchObject({ decision: 'REFUSED', code, signature: new Uint8Array(0) })
    expect(member.lines).toEqual([])
    const record = member.ports.log.records.find(({ event }) => event === 'deposit refused')
    expect(record).toMatchObject({ correlationId: 'flow', fields: { code } })
    await member.stop()
  })

  it('does not know yet what is unconfirmed, and approves it later', async () => {
    const young = new BitcoinWorld('young')
    young.mine([deposit])
    const early = claimOf(young, deposit)
    const { member, node } = await memberWith(1, young)
    node.askApproval(early)
    await member.settle()
    expect(node.answers('approvalResponse')[0]).toMatchObject({
      decision: 'UNKNOWN',
      code: 'NotConfirmed',
    })
    expect(member.lines).toEqual([])
    young.mine([], 2)
    node.askApproval(early)
    await member.settle()
    expect(node.answers('approvalResponse')[1]).toMatchObject({ decision: 'APPROVED' })
    await member.stop()
  })

  it('does not know what stands in a Bitcoin block that it has not seen', async () => {
    const secret = bitcoin.fork(0, 'secret')
    secret.mine([deposit])
    secret.mine([], 5)
    const { member, node } = await memberWith(1)
    node.askApproval(claimOf(secret, deposit))
    await member.settle()
    expect(node.answers('approvalResponse')[0]).toMatchObject({
      decision: 'UNKNOWN',
      code: 'BitcoinBlockUnknown',
    })
    await member.stop()
  })

  it('signs nothing while its operator holds it', async () => {
    const chain = new HeaderChain(genesis)
    const node = new TestNode(chain)
    const policy = { hold: true }
    const member = new MemberWorld({ genesis, nodes: [node], bitcoin: bitcoinOf(bitcoin), policy })
    await member.start()
    node.askApproval(claim)
    await member.settle()
    expect(node.answers('approvalResponse')[0]).toMatchObject({
      decision: 'UNKNOWN',
      code: 'PolicyHold',
    })
    await member.stop()
  })
})

describe('a member that is asked for signatures', () => {
  const { world, batchId, spend } = worldWithBatch()
  const batch = batchToSign(world.ledger, spend) as UnsignedBatch
  const taskOf = (attempt: number) =>
    signingTask(genesis, NO_KEYS, { batchId, version: 0, attempt }, batch)
  const others = [1, 2].map((index) => new TestSigner(index, seeded(`schnorr ${index}`)))

  /** The list that the node makes of the member's last offer. */
  function listWith(node: TestNode, attempt = 0) {
    const offer = node.answers('signatureResponse').at(-1)?.offers[0]
    if (offer === undefined) throw new Error('no offer')
    return [offer, ...others.map((other) => other.offer(taskOf(attempt)))]
  }

  async function memberOverBatch(
    policy: { readonly dailyLimitSat?: bigint } = {},
    setUp: (node: TestNode, chain: HeaderChain) => void = () => {},
  ) {
    const chain = new HeaderChain(genesis)
    chain.commit()
    chain.commit(world.ledger)
    const node = new TestNode(chain)
    setUp(node, chain)
    const member = new MemberWorld({ genesis, nodes: [node], bitcoin: bitcoinOf(bitcoin), policy })
    await member.start()
    return { chain, member, node }
  }

  it('offers nonces for a batch that is proven under a header it followed, and signs with the others (PO-11, 5.4)', async () => {
    const { member, node } = await memberOverBatch()
    node.askSignature(batchId)
    await member.settle()
    const [answer] = node.answers('signatureResponse')
    expect(answer).toMatchObject({
      decision: 'APPROVED',
      offers: [{ member: 0, serial: 1_700_000_000 }],
    })
    const list = listWith(node)
    expect(offerFault(taskOf(0), list[0] as NonceOfferBytes)).toBeUndefined()
    node.askParts(batchId, list)
    await member.settle()
    const [given] = node.answers('partsResponse')
    expect(given).toMatchObject({
      decision: 'APPROVED',
      offers: [{ member: 0, serial: 1_700_000_001 }],
    })
    const { listHash, parts, signature } = given ?? {
      listHash: NOTHING,
      parts: [],
      signature: NOTHING,
    }
    const mine = { member: 0, listHash, parts, signature }
    const all = [mine, ...others.map((other) => other.parts(taskOf(0), list))]
    for (const index of batch.inputs.keys()) {
      expect(joinParts(taskOf(0), list, all, index)).toMatchObject({ ok: true })
    }
    await member.stop()
  })

  it('writes what it will sign before it offers, and that it signed before it answers', async () => {
    const { member, node } = await memberOverBatch()
    const kinds: unknown[] = []
    member.onAppend = (line) => {
      const answers = [node.answers('signatureResponse'), node.answers('partsResponse')]
      kinds.push([JSON.parse(line).kind, ...answers.map(({ length }) => length)])
    }
    node.askSignature(batchId)
    await member.settle()
    node.askParts(batchId, listWith(node))
    await member.settle()
    expect(kinds).toEqual([
      ['intent', 0, 0],
      ['signed', 1, 0],
    ])
    await member.stop()
  })

  it('uses its nonces once, whatever list they are asked for in, and has none after a restart (PO-13)', async () => {
    const { member, node } = await memberOverBatch()
    node.askSignature(batchId)
    await member.settle()
    const list = listWith(node)
    node.askParts(batchId, list)
    await member.settle()
    node.askParts(batchId, list)
    await member.settle()
    await member.advance(5_000)
    node.askSignature(batchId, { attempt: 1 })
    await member.settle()
    const next = listWith(node, 1)
    await member.stop()
    await member.start()
    node.askParts(batchId, next, { attempt: 1 })
    await member.settle()
    const answers = node.answers('partsResponse')
    expect(answers.map(({ decision, code }) => [decision, code])).toEqual([
      ['APPROVED', ''],
      ['UNKNOWN', 'OtherOffer'],
      ['UNKNOWN', 'NoncesUnknown'],
    ])
    expect(answers.slice(1).flatMap(({ parts }) => parts)).toEqual([])
    await member.stop()
  })

  it('signs under no list that is too short, holds a stranger’s offer or another one of its own', async () => {
    const { member, node } = await memberOverBatch()
    for (const bend of [
      (list: readonly NonceOfferBytes[]) => list.slice(1),
      (list: readonly NonceOfferBytes[]) => list.slice(0, 2),
      (list: readonly NonceOfferBytes[]) =>
        list.map((offer, at) => (at === 2 ? { ...offer, signature: new Uint8Array(64) } : offer)),
    ]) {
      node.askSignature(batchId)
      await member.settle()
      node.askParts(batchId, bend(listWith(node)))
      await member.settle()
    }
    const answers = node.answers('partsResponse')
    expect(answers.map(({ decision }) => decision)).toEqual(['UNKNOWN', 'UNKNOWN', 'UNKNOWN'])
    expect(member.lines.map((line) => JSON.parse(line).kind)).toEqual(['intent'])
    await member.stop()
  })

  it('serves a node’s attempts as they rise, one in five seconds, each for as many offers as it can take (5.5)', async () => {
    const { member, node } = await memberOverBatch()
    const codeAt = async (attempt: number) => {
      node.askSignature(batchId, { attempt })
      await member.settle()
      return node.answers('signatureResponse').at(-1)?.code
    }
    expect(await codeAt(2)).toBe('')
    expect(await codeAt(1)).toBe('AttemptPassed')
    expect(await codeAt(3)).toBe('AttemptTooSoon')
    await member.advance(5_000)
    expect(await codeAt(3)).toBe('')
    expect(await codeAt(2)).toBe('AttemptPassed')
    // (4 − 3 + 1)² sessions, and eight for who asks again.
    const codes: unknown[] = []
    for (let again = 0; again < 13; again++) codes.push(await codeAt(3))
    expect(codes).toEqual([...Array(11).fill(''), 'AttemptExhausted', 'AttemptExhausted'])
    expect(node.answers('signatureResponse').at(-1)).toMatchObject({
      decision: 'UNKNOWN',
      offers: [],
    })
    await member.advance(5_000)
    expect(await codeAt(7)).toBe('')
    // What is refused for its number is not proven first.
    const proofs = node.received.filter(({ body }) => {
      return body.kind === 'ledgerProofRequest' && body.batchId.length > 0
    })
    expect(proofs).toHaveLength(14)
    await member.stop()
  })

  it('N4, SU-12: told to stop it gives the parts of an offer that is out, offers nothing more, and ends', async () => {
    const { member, node } = await memberOverBatch()
    node.askSignature(batchId)
    await member.settle()
    let isDown = false
    const stopped = member.system?.stop().then(() => {
      isDown = true
    })
    await member.settle()
    node.askSignature(batchId, { attempt: 9 })
    node.askParts(batchId, listWith(node))
    await member.settle()
    expect(node.answers('partsResponse')).toMatchObject([{ decision: 'APPROVED' }])
    expect(node.answers('signatureResponse')).toHaveLength(1)
    expect(member.lines.map((line) => JSON.parse(line).kind)).toEqual(['intent', 'signed'])
    expect(isDown).toBe(false)
    await member.advance(5_000)
    await stopped
    expect(isDown).toBe(true)
    // With nothing out it goes at once.
    await member.start()
    const again = member.system?.stop()
    await member.settle()
    await again
  })

  it('gives two nodes that ask at once nonces of their own, and decides once', async () => {
    const chain = new HeaderChain(genesis)
    chain.commit(world.ledger)
    const nodes = [new TestNode(chain), new TestNode(chain)]
    const member = new MemberWorld({ genesis, nodes, bitcoin: bitcoinOf(bitcoin) })
    await member.start()
    for (const node of nodes) node.askSignature(batchId)
    await member.settle()
    const [left, right] = nodes.map((node) => node.answers('signatureResponse')[0])
    expect(left?.decision).toBe('APPROVED')
    expect(left?.offers[0]?.signature).not.toEqual(right?.offers[0]?.signature)
    expect(member.lines).toHaveLength(1)
    await member.stop()
  })

  it('refuses rows that do not prove themselves', async () => {
    const { member, node } = await memberOverBatch({}, (liar) => {
      liar.alter = (body) =>
        body.kind === 'ledgerProof'
          ? { ...body, rows: body.rows.map((row) => ({ ...row, row: row.row.map((b) => b ^ 1) })) }
          : body
    })
    node.askSignature(batchId)
    await member.settle()
    const [answer] = node.answers('signatureResponse')
    expect(answer).toMatchObject({ decision: 'REFUSED', code: 'RowUnproven', offers: [] })
    expect(member.lines).toEqual([])
    await member.stop()
  })

  it('refuses a ledger that only the node believes in', async () => {
    const { member, node } = await memberOverBatch({}, (_, chain) => {
      // The headers that were committed never held this batch.
      chain.blocks.splice(1)
      chain.ledger = world.ledger
      chain.commit(chain.ledger, { ledgerRoot: seeded('another root') })
    })
    node.askSignature(batchId)
    await member.settle()
    expect(node.answers('signatureResponse')[0]).toMatchObject({
      decision: 'REFUSED',
      code: 'RowUnproven',
    })
    await member.stop()
  })

  it('does not know a proof under a header that nobody certified, and never signs it', async () => {
    const { member, node } = await memberOverBatch({}, (liar) => {
      liar.alter = (body) => (body.kind === 'ledgerProof' ? { ...body, height: 99 } : body)
    })
    node.askSignature(batchId)
    await member.settle()
    expect(node.answers('signatureResponse')).toEqual([])
    await member.advance(20_000)
    expect(node.answers('signatureResponse')[0]).toMatchObject({
      decision: 'UNKNOWN',
      code: 'HeaderNotFollowed',
    })
    expect(member.lines).toEqual([])
    await member.stop()
  })

  it('waits for the header of a proof that came too early, then signs', async () => {
    const chain = new HeaderChain(genesis)
    const node = new TestNode(chain)
    const member = new MemberWorld({ genesis, nodes: [node], bitcoin: bitcoinOf(bitcoin) })
    await member.start()
    chain.commit(world.ledger)
    node.askSignature(batchId)
    await member.settle()
    expect(node.answers('signatureResponse')).toEqual([])
    node.announce()
    await member.settle()
    expect(node.answers('signatureResponse')[0]).toMatchObject({ decision: 'APPROVED' })
    await member.stop()
  })

  it('does not know a batch that the node cannot prove', async () => {
    const { member, node } = await memberOverBatch()
    node.askSignature(seeded('no such batch'))
    await member.settle()
    expect(node.answers('signatureResponse')[0]).toMatchObject({ decision: 'UNKNOWN' })
    await member.stop()
  })

  it('refuses another chain', async () => {
    const { member, node } = await memberOverBatch()
    node.askSignature(batchId, { genesisHash: new Uint8Array(32) })
    await member.settle()
    expect(node.answers('signatureResponse')[0]).toMatchObject({
      decision: 'REFUSED',
      code: 'WrongChain',
    })
    await member.stop()
  })

  it('keeps within its daily limit', async () => {
    const { member, node } = await memberOverBatch({ dailyLimitSat: 1_000_000n })
    node.askSignature(batchId)
    await member.settle()
    expect(node.answers('signatureResponse')[0]).toMatchObject({
      decision: 'UNKNOWN',
      code: 'DailyLimit',
    })
    expect(member.lines).toEqual([])
    await member.stop()
  })

  it('refuses a second transaction under a version that it began to sign', async () => {
    const { member, node } = await memberOverBatch()
    const intent = {
      kind: 'intent',
      atMs: 0,
      batchId: Buffer.from(batchId).toString('hex'),
      version: 0,
      txid: '11'.repeat(32),
      paidSat: '1',
    }
    await member.stop()
    member.lines.push(JSON.stringify(intent))
    await member.start()
    node.askSignature(batchId)
    await member.settle()
    expect(node.answers('signatureResponse')[0]).toMatchObject({
      decision: 'REFUSED',
      code: 'OtherTransactionSigned',
    })
    await member.stop()
  })

  it('signs nothing after it saw two certified blocks at one height', async () => {
    const { chain, member, node } = await memberOverBatch()
    const other = new HeaderChain(genesis)
    other.commit()
    node.announce(other.commit(other.ledger, { slot: chain.head.header.slot + 7 }))
    await member.settle()
    node.askSignature(batchId)
    await member.settle()
    expect(node.answers('signatureResponse')[0]).toMatchObject({
      decision: 'UNKNOWN',
      code: 'ChainContradicted',
    })
    expect(member.warnings().join()).toContain('two certified blocks at one height')
    await member.stop()
  })
})

describe('the streams of a member', () => {
  it('are opened again after 1 s, 2 s, 4 s … at most 60 s, for ever (GV-10)', async () => {
    const { member, node } = await memberWith(1)
    node.reachable = false
    node.drop()
    await member.settle()
    const waits = member.ports.log.records
      .filter(({ event }) => event === 'no stream to node')
      .map(({ fields }) => Number(fields?.['retryMs']))
    expect(waits[0]).toBeGreaterThanOrEqual(900)
    expect(waits[0]).toBeLessThanOrEqual(1_100)
    await member.advance(600_000)
    const all = member.ports.log.records
      .filter(({ event }) => event === 'no stream to node')
      .map(({ fields }) => Number(fields?.['retryMs']))
    expect(all.slice(0, 7).map((ms) => 2 ** Math.round(Math.log2(ms / 1000)))).toEqual([
      1, 2, 4, 8, 16, 32, 64,
    ])
    expect(Math.max(...all)).toBeLessThanOrEqual(66_000)
    node.reachable = true
    await member.advance(70_000)
    expect(node.listener).toBeDefined()
    await member.stop()
  })

  it('take a lying node for what it is and follow another one', async () => {
    const chain = new HeaderChain(genesis)
    for (let count = 0; count < 5; count++) chain.commit()
    const liar = new TestNode(chain)
    liar.alter = (body) =>
      body.kind === 'certifiedHeaders'
        ? {
            ...body,
            headers: body.headers.map((each) => ({ ...each, certificate: new Uint8Array(200) })),
          }
        : body
    const honest = new TestNode(chain)
    const member = new MemberWorld({
      genesis,
      nodes: [liar, honest],
      bitcoin: bitcoinOf(bitcoin),
    })
    await member.start()
    await member.advance(30_000)
    expect(member.header?.header.height).toBe(5)
    await member.stop()
  })
})
