/** A member of the world: the real tree on simulated ports, over a journal and a header file that outlive its incarnations. */
import { toHex } from '../../crypto/index.ts'
import {
  createJournal,
  createMemberTree,
  createVault,
  type HeldShare,
  type MemberKeys,
  type ShareStore,
  storeBehindVault,
} from '../../governance/tree.ts'
import type { MemberBody, MemberMessage } from '../../proto/index.ts'
import { MemoryShares } from '../unit/governance/memory-shares.ts'
import type { Chance } from './chance.ts'
import { HeaderDisk, LineDisk } from './disk.ts'
import { Life, type Skew } from './life.ts'
import type { Surroundings } from './node.ts'

/** Often enough that worlds of a minute have several. */
const AUDIT_MS = 7_000

export class SimulatedMember {
  readonly index: number
  readonly name: string
  readonly skew: Skew = { offsetMs: 0 }
  readonly #around: Surroundings
  readonly #chance: Chance
  #journal: LineDisk
  #head: HeaderDisk
  #trust: HeaderDisk
  #shares = new MemoryShares()
  #life: Life | undefined
  incarnations = 0
  /** What its operator has set; it is read at the start. */
  policy: { readonly hold: boolean; readonly dailyLimitSat?: number } = { hold: false }

  constructor(index: number, around: Surroundings) {
    this.index = index
    this.name = `member${index}`
    this.#around = around
    this.#chance = around.world.chance(`member ${index}`)
    this.#journal = new LineDisk(this.#chance)
    this.#head = new HeaderDisk(this.#chance)
    this.#trust = new HeaderDisk(this.#chance)
  }

  get alive(): boolean {
    return this.#life?.alive === true
  }

  start(): void {
    if (this.alive) return
    const { world, federation, bitcoin, makesKey, streams } = this.#around
    this.incarnations += 1
    world.log(`${this.name} starts ${this.incarnations}`)
    const life = new Life(world, this.name, this.skew, () => this.#ended(life))
    this.#life = life
    const { genesis } = federation
    const journal = createJournal({
      file: {
        append: (line) => this.#journal.append(life, line),
        close: () => life.io(1, 'close journal', () => {}),
      },
      lines: [...this.#journal.lines],
    })
    world.check('JournalWhole', !('code' in journal), () => this.name)
    if ('code' in journal) return
    const shares = this.#store(life)
    const links = streams.client(this.index, life, genesis.validators.length)
    const kernel = life.kernel(`${this.name}${this.incarnations}`)
    const vault = createVault({
      genesis,
      memberIndex: this.index,
      keys: federation.members[this.index] as MemberKeys,
      policy: {
        confirmations: genesis.params.pegInConfirmations,
        hold: this.policy.hold,
        ...(this.policy.dailyLimitSat !== undefined && {
          dailyLimitSat: BigInt(this.policy.dailyLimitSat),
        }),
      },
      journal,
      shares,
      trust: this.#trust.store(life),
      nowMs: () => kernel.clock.nowMs(),
      random: (length) => kernel.random.bytes(length),
    })
    const own = bitcoin.own(life)
    const system = createMemberTree(
      {
        kernel,
        links: {
          ...links,
          send: (node, message) => {
            // Points are dear: in most worlds what members say for a key is lost, and the key stays the first one.
            if (message.body.kind === 'keygenItem' && !makesKey) return 'dropped'
            this.#checkJournal(message)
            return links.send(node, message)
          },
        },
        follower: { genesis, store: storeBehindVault(this.#head.store(life), vault, genesis) },
        signer: { genesis, bitcoin: own, vault },
        keygen: {
          metrics: kernel.metrics,
          genesis,
          memberIndex: this.index,
          nodes: genesis.validators.length,
          vault,
        },
        auditor: {
          metrics: kernel.metrics,
          genesis,
          nodes: genesis.validators.length,
          bitcoin: own,
          everyMs: AUDIT_MS,
        },
      },
      (reason) => {
        if (!life.alive) return
        world.fault('actorGaveUp')
        world.log(`${this.name} terminated: ${JSON.stringify(reason)}`)
        life.end()
        world.at(1_000, `${this.name} is started again`, () => this.start())
      },
    )
    void system.start()
  }

  /** A liar finds in it what it told. */
  #store(life: Life): ShareStore {
    const store = this.#shares.store((label, act) => life.io(2, label, act))
    const liar = this.#around.streams.keygenLiar(this.index)
    if (liar === undefined) return store
    return { ...store, session: async (id) => liar.kept(await store.session(id)) }
  }

  /** The share of the key that a session made, if it is on its disk. */
  shareOf(sessionId: Uint8Array): HeldShare | undefined {
    return this.#shares.shares.get(toHex(sessionId))
  }

  /** PI-10, PO-13: what leaves signed stands on the disk before. */
  #checkJournal({ body }: MemberMessage): void {
    const noted = notedBefore(body)
    if (noted === undefined) return
    const isNoted = this.#journal.lines.some((line) => noted.every((part) => line.includes(part)))
    this.#around.world.check('JournalFirst', isNoted, () => {
      return `${this.name} gives a signature that its journal does not hold`
    })
  }

  crash(): void {
    this.#life?.end()
  }

  /** It dies, and of what it wrote nothing is left; its keys are elsewhere. */
  loseDisk(): void {
    this.crash()
    this.#journal = new LineDisk(this.#chance)
    this.#head = new HeaderDisk(this.#chance)
    this.#trust = new HeaderDisk(this.#chance)
    this.#shares = new MemoryShares()
  }

  #ended(life: Life): void {
    const { world, streams } = this.#around
    world.log(`${this.name} is dead`)
    this.#journal.crash()
    streams.crashed(life)
  }
}

/** What a line of the journal holds before an answer leaves; undefined: nothing that binds. */
function notedBefore(body: MemberBody): readonly string[] | undefined {
  switch (body.kind) {
    case 'approvalResponse':
      return body.decision === 'APPROVED' ? [toHex(body.signature)] : undefined
    case 'signatureResponse':
      return body.offers.length > 0 ? batchEntry('intent', body) : undefined
    case 'partsResponse':
      return body.parts.length > 0 ? batchEntry('signed', body) : undefined
    default:
      return undefined
  }
}

function batchEntry(
  kind: 'intent' | 'signed',
  { batchId, version }: { readonly batchId: Uint8Array; readonly version: number },
): readonly string[] {
  return [`"kind":"${kind}"`, `"batchId":"${toHex(batchId)}"`, `"version":${version},`]
}
