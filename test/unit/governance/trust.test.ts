/** What a member believes gets old, and only the block that its operator named makes it believe again (protocol §5.6). */
import { type BlockHeader, blockHash, hashValidators } from '../../../core/block/index.ts'
import type { CertifiedHeader, KnownBlock } from '../../../core/light/index.ts'
import type { StoredHead } from '../../../governance/light-client.ts'
import type { HeadStore } from '../../../governance/port.ts'
import { Trust } from '../../../governance/trust.ts'
import { BitcoinWorld, claimOf, depositOf, testGenesis } from '../core/peg/world.ts'
import { bitcoinOf, HeaderChain, MemberWorld, TestNode } from './world.ts'

const DAY = 86_400
const START = 1_700_000_000
/** A day's window: a header is kept when it is an hour and a half younger than the one on disk. */
const genesis = testGenesis({ trustWindowSeconds: DAY })

class Disk implements HeadStore {
  stored: StoredHead | undefined
  load = async () => this.stored
  save = async (head: StoredHead) => {
    this.stored = head
  }
}

/** A member's belief over a disk; the clock says seconds since block 0. */
class Belief {
  readonly disk = new Disk()
  seconds = 0
  trust: Trust
  #named: KnownBlock | undefined

  constructor(named?: KnownBlock) {
    this.#named = named
    this.trust = this.restart()
  }

  restart(named = this.#named): Trust {
    this.#named = named
    const nowMs = () => (START + this.seconds) * 1_000
    const { disk: store } = this
    this.trust = new Trust({ genesis, store, nowMs, ...(named && { trustedBlock: named }) })
    return this.trust
  }

  async root(item: CertifiedHeader): Promise<string> {
    const found = await this.trust.rootOf(item)
    return found.ok ? 'believed' : found.code
  }

  async follow(...items: readonly CertifiedHeader[]): Promise<string> {
    const fault = await this.trust.follow(items)
    return fault === undefined || fault.ok ? 'believed' : fault.code
  }
}

/** The block of so many seconds after block 0. */
function blockAt(chain: HeaderChain, seconds: number, changes: Partial<BlockHeader> = {}) {
  return chain.commit(chain.ledger, { slot: START + seconds, ...changes })
}

function named({ header }: CertifiedHeader): KnownBlock {
  return { height: header.height, hash: blockHash(header) }
}

const nextValidators = genesis.validators.slice(0, 3)
const nextValidatorsHash = hashValidators(nextValidators)

describe('the belief of a member (5.6)', () => {
  it('is fresh while the federation is younger than the trust window, and no longer', async () => {
    const chain = new HeaderChain(genesis)
    const member = new Belief()
    member.seconds = DAY
    expect(await member.root(blockAt(chain, DAY))).toBe('believed')
    const other = new Belief()
    other.seconds = DAY + 1
    expect(await other.root(blockAt(chain, DAY + 1))).toBe('TrustStale')
    expect((await other.trust.belief()).isStale).toBe(true)
  })

  it('gets old while it runs, when it hears of nothing, and stays fresh by what it hears', async () => {
    const chain = new HeaderChain(genesis)
    const member = new Belief()
    member.seconds = DAY
    expect(await member.follow(blockAt(chain, DAY - 10))).toBe('believed')
    member.seconds = 2 * DAY - 10
    expect(await member.root(blockAt(chain, DAY + 5))).toBe('believed')
    member.seconds = 2 * DAY + 5
    expect(await member.trust.isStale()).toBe(false)
    member.seconds += 1
    expect(await member.trust.isStale()).toBe(true)
    expect(await member.root(blockAt(chain, 2 * DAY))).toBe('TrustStale')
  })

  it('is kept when it is a sixteenth of the window younger, so that a restart finds it', async () => {
    const chain = new HeaderChain(genesis)
    const member = new Belief()
    member.seconds = DAY / 2
    await member.root(blockAt(chain, DAY / 16))
    expect(member.disk.stored).toBeUndefined()
    const kept = blockAt(chain, DAY / 16 + 1)
    await member.root(kept)
    expect(member.disk.stored?.header).toEqual(kept.header)
    member.seconds = DAY + DAY / 16 + 1
    expect(await member.restart().isStale()).toBe(false)
    member.seconds += 1
    expect(await member.restart().isStale()).toBe(true)
  })

  it('that is old takes no history of validators who left, and nothing of it reaches the disk', async () => {
    const forged = new HeaderChain(genesis)
    // Those of block 0, who decide no more, sign again.
    const announcing = { ...blockAt(forged, 5, { nextValidatorsHash }), nextValidators }
    const late = new HeaderChain(genesis)
    const alone = blockAt(late, DAY + 2)
    const young = new Belief()
    young.seconds = 10
    expect(await young.follow(announcing)).toBe('believed')
    const member = new Belief()
    member.seconds = DAY + 2
    expect(await member.follow(announcing)).toBe('TrustStale')
    expect(await member.root(announcing)).toBe('TrustStale')
    expect(await member.root(alone)).toBe('TrustStale')
    expect(member.disk.stored).toBeUndefined()
  })

  it('begins again at the block that the operator named, whoever shows it, and keeps that', async () => {
    const chain = new HeaderChain(genesis)
    const block = blockAt(chain, 3 * DAY, { nextValidatorsHash })
    const member = new Belief(named(block))
    member.seconds = 3 * DAY + 60
    const other = new HeaderChain(genesis).certified(chain.ledger, { slot: START + 3 * DAY })
    expect(await member.follow(other)).toBe('NotTrustedBlock')
    expect(await member.follow(block)).toBe('ValidatorSetUnknown')
    const { validators } = genesis
    expect(await member.follow({ ...block, nextValidators: validators })).toBe(
      'ValidatorSetUnknown',
    )
    expect(member.disk.stored).toBeUndefined()
    expect(await member.follow({ ...block, nextValidators })).toBe('believed')
    expect(await member.trust.isStale()).toBe(false)
    expect(member.disk.stored).toEqual({ header: block.header, nextValidators })
    const belief = await member.restart().belief()
    expect(belief).toMatchObject({ isStale: false, nextValidators, header: block.header })
    const next = blockAt(chain, 3 * DAY + 30, { validatorsHash: nextValidatorsHash })
    expect(await member.root(next)).toBe('CertificateInvalid')
  })

  it('is not moved by a name while it is fresh, nor by the name of a block that is itself too old', async () => {
    const chain = new HeaderChain(genesis)
    const below = blockAt(chain, DAY / 4)
    const above = blockAt(chain, DAY / 2)
    const member = new Belief(named(below))
    member.seconds = DAY / 2
    expect(await member.follow(above)).toBe('believed')
    expect(await member.follow({ ...below, nextValidators: genesis.validators })).toBe('believed')
    expect((await member.trust.belief()).header).toEqual(above.header)
    member.seconds = 2 * DAY
    expect(await member.follow({ ...below, nextValidators: genesis.validators })).toBe('TrustStale')
    expect(member.disk.stored?.header).toEqual(above.header)
  })

  it('has no header from a time that is yet to come', async () => {
    const chain = new HeaderChain(genesis)
    const member = new Belief()
    expect(await member.root(blockAt(chain, DAY / 16 + 1))).toBe('HeaderAhead')
    const skewed = new HeaderChain(genesis)
    expect(await member.root(blockAt(skewed, DAY / 16))).toBe('believed')
  })
})

/** Of a minute's window. */
const short = testGenesis({ trustWindowSeconds: 60 })
const bitcoin = new BitcoinWorld()
const deposit = depositOf(short, 'alice', 2_000_000n)
bitcoin.mine([deposit])
bitcoin.mine([], 2)
const claim = claimOf(bitcoin, deposit)
const STALE = 'what was believed last is older than the trust window: nothing is signed'

/** A member that was away for two minutes: a node that tells what validators who left signed, and one that does not. */
async function away(trustedBlock?: (honest: HeaderChain) => KnownBlock) {
  const [honest, forged] = [new HeaderChain(short), new HeaderChain(short)]
  for (let seconds = 10; seconds <= 120; seconds += 10) {
    blockAt(honest, seconds)
    blockAt(forged, seconds + 1)
  }
  const nodes = [new TestNode(forged), new TestNode(honest)] as const
  const block = trustedBlock?.(honest)
  const member = new MemberWorld({
    genesis: short,
    nodes,
    bitcoin: bitcoinOf(bitcoin),
    ...(block && { trustedBlock: block }),
  })
  await member.advance(120_000)
  await member.start()
  await member.advance(5_000)
  return { honest, member, nodes }
}

describe('a member that was away for longer than the trust window (5.6)', () => {
  it('follows nobody, signs nothing and says once what to do', async () => {
    const { member, nodes } = await away()
    await member.advance(60_000)
    expect(nodes.flatMap((node) => node.answers('headerRequest'))).toEqual([])
    expect([member.header, member.trusted]).toEqual([undefined, undefined])
    expect(member.logged(STALE)).toEqual([
      { height: 0, advice: expect.stringContaining('--trusted-block HEIGHT:HASH') },
    ])
    nodes[1].askApproval(claim)
    await member.settle()
    expect(nodes[1].answers('approvalResponse')).toMatchObject([
      { decision: 'UNKNOWN', code: 'TrustStale' },
    ])
    await member.stop()
  })

  it('goes on from the block that its operator named, and not from what a node shows instead', async () => {
    const { honest, member, nodes } = await away(({ blocks }) => named(blocks[12] as never))
    expect(member.warnings()).toEqual([
      expect.stringContaining(STALE),
      expect.stringContaining('"reason":"NotTrustedBlock"'),
    ])
    expect(member.trusted?.header).toEqual(honest.blocks[12]?.header)
    for (const node of nodes) node.askApproval(claim)
    await member.settle()
    expect(nodes[1].answers('approvalResponse')).toMatchObject([{ decision: 'APPROVED' }])
    const next = blockAt(honest, 126)
    nodes[1].announce()
    await member.settle()
    expect(member.header?.header).toEqual(next.header)
    await member.stop()
  })

  it('says when the block that its operator named is too old itself', async () => {
    const { member } = await away(({ blocks }) => named(blocks[2] as never))
    await member.advance(60_000)
    expect(member.trusted).toBeUndefined()
    expect(
      member.logged('the block that the operator named is itself older than the trust window'),
    ).toHaveLength(1)
    await member.stop()
  })
})

describe('a member that runs (5.6)', () => {
  it('keeps its belief from getting old by the headers that it follows, though nothing is asked', async () => {
    const chain = new HeaderChain(short)
    const node = new TestNode(chain)
    const member = new MemberWorld({ genesis: short, nodes: [node], bitcoin: bitcoinOf(bitcoin) })
    await member.start()
    for (let seconds = 10; seconds <= 200; seconds += 10) {
      await member.advance(10_000)
      blockAt(chain, seconds)
      node.announce()
      await member.settle()
    }
    expect(member.logged(STALE)).toEqual([])
    expect(member.trusted?.header.slot).toBeGreaterThan(START + 180)
    // It hears of nothing, and is told then of a block that may be of validators who left.
    await member.advance(75_000)
    expect(member.logged(STALE)).toHaveLength(1)
    const { header } = member
    blockAt(chain, 202)
    node.announce()
    await member.advance(20_000)
    expect(member.header).toEqual(header)
    await member.stop()
  })
})
