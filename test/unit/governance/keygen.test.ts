import { decodeKeygenItem, type KeygenItem } from '../../../core/block/index.ts'
import { keygenKind, signKeygenItem } from '../../../core/keygen/index.ts'
import { KEYGEN_FAULT, KEYGEN_STAGE } from '../../../core/ledger/index.ts'
import { groupKeyFrom, isShareOf, toHex } from '../../../crypto/index.ts'
import { AUXILIARY, Ceremony, EPOCH } from '../core/keygen/ceremony.ts'
import { BitcoinWorld, seeded, testGenesis } from '../core/peg/world.ts'
import { bitcoinOf, HeaderChain, MemberWorld, TestNode } from './world.ts'

const genesis = testGenesis()

/** Member 1 (signer 1) on the real tree; the other three are played by the ceremony. */
class Making {
  readonly ceremony = new Ceremony(genesis)
  readonly chain = new HeaderChain(genesis)
  readonly nodes = [new TestNode(this.chain), new TestNode(this.chain)]
  readonly member = new MemberWorld({
    genesis,
    nodes: this.nodes,
    bitcoin: bitcoinOf(new BitcoinWorld('keygen')),
  })

  async start(): Promise<void> {
    await this.member.start()
    await this.block([])
  }

  /** A block with these items; the member has time to look at it. */
  async block(items: readonly KeygenItem[], code?: string): Promise<void> {
    expect(this.ceremony.block(items)).toBe(code)
    this.chain.commit(this.ceremony.ledger)
    for (const node of this.nodes) node.announce()
    for (let turn = 0; turn < 4; turn++) await this.member.advance(1_000)
  }

  /** What the member said to a node, in order. */
  said(node = this.nodes[0]): KeygenItem[] {
    return (node?.answers('keygenItem') ?? []).map(({ item }) => {
      const decoded = decodeKeygenItem(item)
      if (!decoded.ok) throw new Error(decoded.error.reason)
      return decoded.value
    })
  }

  last(): KeygenItem {
    return this.said().at(-1) as KeygenItem
  }

  async packages(): Promise<void> {
    await this.block([this.last(), ...[2, 3, 4].map((signer) => this.ceremony.package(signer))])
  }

  /** Packages come from the chain here: the ceremony does not know the member's secret. */
  async shares(): Promise<void> {
    await this.block([this.last(), ...[2, 3, 4].map((signer) => this.ceremony.shares(signer))])
  }

  async confirmations(): Promise<void> {
    await this.block([
      this.last(),
      ...[2, 3, 4].map((signer) => this.ceremony.confirmation(signer)),
    ])
  }
}

describe('a member takes its part in the making of the key (5.1)', () => {
  it('whose share is gone when the key is made keeps the secret that it came from (QD-11)', async () => {
    const making = new Making()
    await making.start()
    await making.packages()
    await making.shares()
    making.member.shares.shares.clear()
    await making.confirmations()
    expect(making.ceremony.ledger.state.epoch).toBe(EPOCH)
    expect(making.member.shares.sessions.size).toBe(1)
  })

  it('package, shares, confirmation: the key is made and the share is kept', async () => {
    const making = new Making()
    await making.start()
    await making.packages()
    expect(making.ceremony.row.stage).toBe(KEYGEN_STAGE.shares)
    await making.shares()
    expect(making.ceremony.row.stage).toBe(KEYGEN_STAGE.confirmations)
    await making.confirmations()
    expect(making.ceremony.ledger.state.epoch).toBe(EPOCH)
    expect(making.said().map((item) => keygenKind(item))).toEqual([
      'package',
      'shares',
      'confirmation',
    ])
    expect(making.said(making.nodes[1])).toHaveLength(3)
    const held = making.member.shares.shares.get(toHex(making.ceremony.row.sessionId))
    const key = making.ceremony.key
    expect(held?.share.signer).toBe(1)
    expect(held && isShareOf(groupKeyFrom(key?.commitments ?? [], []), held.share)).toBe(true)
    await making.member.advance(5_000)
    expect(making.member.shares.sessions.size).toBe(0)
    await making.member.stop()
  })

  it('a restart between all steps never makes it say two packages (QD-11)', async () => {
    const making = new Making()
    await making.start()
    const first = making.last()
    await making.member.stop()
    await making.member.start()
    await making.block([])
    expect(making.last().content).toEqual(first.content)
    await making.packages()
    await making.member.stop()
    await making.member.start()
    await making.block([])
    const shares = making.last()
    expect(keygenKind(shares)).toBe('shares')
    await making.shares()
    await making.member.stop()
    await making.member.start()
    await making.block([])
    expect(keygenKind(making.last())).toBe('confirmation')
    await making.confirmations()
    expect(making.ceremony.ledger.state.epoch).toBe(EPOCH)
    const packages = making.said().filter((item) => keygenKind(item) === 'package')
    expect(new Set(packages.map(({ content }) => toHex(content))).size).toBe(1)
    await making.member.stop()
  })

  it('what no block carries is said again', async () => {
    const making = new Making()
    await making.start()
    expect(making.said()).toHaveLength(1)
    for (let block = 0; block < 4; block++) await making.block([])
    expect(making.said().length).toBeGreaterThan(1)
    expect(new Set(making.said().map(({ signature }) => toHex(signature))).size).toBe(1)
    await making.member.stop()
  })

  it('a lost disk says nothing in that session, and a new package in the next', async () => {
    const making = new Making()
    await making.start()
    await making.packages()
    await making.member.stop()
    making.member.shares.sessions.clear()
    const before = making.said().length
    await making.member.start()
    await making.block([])
    expect(making.said()).toHaveLength(before)
    expect(making.member.warnings().join()).toContain('secret of this session is gone')
    await making.member.stop()
  })

  it('a wrong ciphertext is complained about, and its sender is left out', async () => {
    const making = new Making()
    await making.start()
    await making.packages()
    const { ceremony } = making
    const [, ...rest] = ceremony.ciphertexts(3)
    const spoiled = ceremony.item(3, 'shares', { ciphertexts: [seeded('noise'), ...rest] })
    await making.block([making.last(), ceremony.shares(2), spoiled, ceremony.shares(4)])
    expect(keygenKind(making.last())).toBe('complaint')
    await making.block([making.last()])
    expect(ceremony.row.culprits.map(({ signer, fault }) => [signer, fault])).toEqual([
      [3, KEYGEN_FAULT.wrongShare],
    ])
    expect(keygenKind(making.last())).toBe('package')
    expect(making.last().sessionId).toEqual(ceremony.row.sessionId)
    await making.member.stop()
  })

  it('believes no node: rows that are not under a followed root say nothing', async () => {
    const making = new Making()
    for (const node of making.nodes) {
      node.alter = (body) =>
        body.kind === 'ledgerProof'
          ? { ...body, rows: body.rows.map((row) => ({ ...row, present: !row.present })) }
          : body
    }
    await making.start()
    expect(making.said()).toHaveLength(0)
    for (const node of making.nodes) node.alter = (body) => body
    await making.block([])
    expect(making.said()).toHaveLength(1)
    await making.member.stop()
  })

  it('N4: told to stop, it says which making of a key waits for it, and until when', async () => {
    const making = new Making()
    await making.start()
    await making.packages()
    // Its shares have been said and are in no block yet.
    await making.member.stop()
    const [warned] = making.member.logged('stopping while a key is made')
    const { deadline } = making.ceremony.row
    expect(warned).toEqual({ epoch: EPOCH, attempt: 0, stage: 'shares', untilHeight: deadline })
    expect(making.member.shares.sessions.size).toBe(1)
  })

  it('N4: with nothing to wait for it stops without a word', async () => {
    const making = new Making()
    await making.start()
    await making.packages()
    await making.shares()
    await making.confirmations()
    await making.member.stop()
    expect(making.member.logged('stopping while a key is made')).toEqual([])
  })

  it('is bound to its session: what it said before a restart is refused after', async () => {
    const making = new Making()
    await making.start()
    const old = making.last()
    await making.block([old, making.ceremony.package(2), making.ceremony.package(3)])
    making.ceremony.pass(making.ceremony.row.deadline)
    expect(making.ceremony.block([old])).toBe('KeygenSessionWrong')
    const { signature: _, ...statement } = old
    const moved = { ...statement, sessionId: making.ceremony.row.sessionId }
    const forged = signKeygenItem(genesis, moved, seeded('schnorr 1'), AUXILIARY)
    expect(making.ceremony.block([forged])).toBe('KeygenSignatureWrong')
    await making.member.stop()
  })
})
