import { decodeKeygenItem, type KeygenItem } from '../../../core/block/index.ts'
import {
  decodeKeygenContent,
  dkgSession,
  encodeKeygenContent,
  keyCommitments,
  keygenConfirmationMessage,
  keygenItemKey,
  keygenKind,
  signKeygenItem,
} from '../../../core/keygen/index.ts'
import { heightKey, KEYGEN_FAULT, KEYGEN_STAGE } from '../../../core/ledger/index.ts'
import {
  addCommitments,
  addToGroup,
  beginDkg,
  groupKeyFrom,
  isShareOf,
  schnorrPublicKey,
  schnorrVerify,
  scriptlessTweak,
  toHex,
  verifyingShareAt,
} from '../../../crypto/index.ts'
import type { SessionSecret } from '../../../governance/keygen-part.ts'
import { AUXILIARY, Ceremony, EPOCH, randomOf } from '../core/keygen/ceremony.ts'
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

  it('begins no session while its disk has as many as it keeps (5.1)', async () => {
    const making = new Making()
    const kept = making.member.shares.sessions
    for (let count = 0; count < 256; count++) {
      const sessionId = seeded(`session ${count}`)
      kept.set(toHex(sessionId), { epoch: EPOCH, sessionId } as SessionSecret)
    }
    await making.start()
    expect([making.said(), kept.size]).toEqual([[], 256])
    kept.delete(toHex(seeded('session 0')))
    await making.member.advance(30_000)
    await making.block([])
    expect(making.said().map((item) => keygenKind(item))).toContain('package')
    await making.member.stop()
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

  it('that starts again while the next key is made still has what it said for that one (5.8, QD-11)', async () => {
    const making = new Making()
    await making.start()
    await making.packages()
    await making.shares()
    await making.confirmations()
    await making.member.advance(5_000)
    const sessionId = seeded('the next session')
    const session = { id: sessionId, threshold: genesis.memberThreshold, signers: [1, 2, 3, 4] }
    const next = { epoch: EPOCH + 1, sessionId, ...beginDkg(session, 1, randomOf('next')) }
    making.member.shares.sessions.set(toHex(sessionId), next)
    await making.member.stop()
    await making.member.start()
    await making.block([])
    expect(making.member.shares.sessions.get(toHex(sessionId))).toEqual(next)
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
    for (let block = 0; block < 4; block++) await making.block([])
    expect(making.said()).toHaveLength(before)
    // Each block asks for it again; who reads the log is told once.
    const told = making.member.warnings().filter((each) => each.includes('secret of this session'))
    expect(told).toHaveLength(1)
    const { metrics } = making.member.ports
    const code = 'SecretLost'
    expect(metrics.total('millrace_member_keygen_troubles_total', { code })).toBe(1)
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

describe('a member that a corrupt quorum of validators asks for a key (5.1, D1)', () => {
  const LOG = 'the ledger shows what its members did not say'

  it('confirms what the packages come to, not the sum that the ledger names', async () => {
    const making = new Making()
    await making.start()
    await making.packages()
    await making.block([making.last(), ...[2, 3].map((signer) => making.ceremony.shares(signer))])
    // All but one: the last shares come with the forged sum, so that the member has not confirmed yet.
    const { ceremony } = making
    const last = ceremony.shares(4)
    const real = keyCommitments(ceremony.row) as readonly Uint8Array[]
    const forged = throughShareOf1(real, schnorrPublicKey(seeded('thief')))
    ceremony.forge('keygen', heightKey(EPOCH), { sums: forged })
    const thief = keyCommitments(ceremony.row) as readonly Uint8Array[]
    expect(verifyingShareAt(thief, 1)).toEqual(verifyingShareAt(real, 1))
    await making.block([last])
    const said = making.last()
    expect(keygenKind(said)).toBe('confirmation')
    const signature = decodeKeygenContent('confirmation', said.content)?.signature
    const confirms = (commitments: readonly Uint8Array[]) => {
      const [key] = commitments as [Uint8Array]
      const { sessionId } = ceremony.row
      const message = keygenConfirmationMessage(genesis, EPOCH, sessionId, key.slice(1))
      const share = verifyingShareAt(commitments, 1) as Uint8Array
      return schnorrVerify(share.slice(1), message, signature as Uint8Array)
    }
    expect([confirms(thief), confirms(real)]).toEqual([false, true])
    const held = making.member.shares.shares.get(toHex(ceremony.row.sessionId))
    expect(held?.commitments).toEqual(real)
    await making.member.stop()
  })

  it.each([
    ['that its member has not signed', 'schnorr 0', {}],
    [
      'without a proof that its member knows the constant',
      'schnorr 2',
      { proof: new Uint8Array(64).fill(1) },
    ],
  ])('gives no shares to a package %s', async (_, signedBy, changes) => {
    const making = new Making()
    await making.start()
    await making.packages()
    const { ceremony } = making
    const { sessionId } = ceremony.row
    // The member has said its shares; a start later it says them again, to other packages.
    await making.member.stop()
    const begun = beginDkg(dkgSession(genesis, ceremony.row), 3, randomOf('thief'))
    const told = { ...begun.told, ...changes }
    const content = encodeKeygenContent('package', told)
    const statement = { epoch: EPOCH, sessionId, kind: 0, signer: 3, content }
    const { signature } = signKeygenItem(genesis, statement, seeded(signedBy), AUXILIARY)
    const key = keygenItemKey(sessionId, KEYGEN_STAGE.packages, 3)
    ceremony.forge('keygenItems', key, { content, signature })
    const before = making.said().length
    await making.member.start()
    await making.block([])
    expect(making.said()).toHaveLength(before)
    expect(making.member.logged(LOG)).toEqual([{ epoch: EPOCH, attempt: 0, code: 'RowsDoubted' }])
    await making.member.stop()
  })

  /** Commitments to a key of the thief's, whose polynomial meets the members' at signer 1: no share shows the difference. */
  function throughShareOf1(
    [first, second, ...rest]: readonly Uint8Array[],
    thiefKey: Uint8Array,
  ): Uint8Array[] {
    const plain = Uint8Array.of(2, ...thiefKey)
    const group = groupKeyFrom([plain], [])
    const [tweaked] = addToGroup(group, scriptlessTweak(group)).commitments as [Uint8Array]
    const negated = Uint8Array.of(tweaked[0] === 2 ? 3 : 2, ...tweaked.slice(1))
    const [sum] = [[first], [negated]].reduce<readonly (Uint8Array | undefined)[]>(
      (of, one) => addCommitments(of as Uint8Array[], one as Uint8Array[]),
      [second],
    )
    return [plain, sum as Uint8Array, ...rest]
  }
})
