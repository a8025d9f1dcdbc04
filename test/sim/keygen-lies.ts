/**
 * What a lying member says in the making of a key: one lie for each session, under its own signature, so that a block may carry it. It
 * reads what the nodes prove to it, and nothing else.
 */
import {
  decodeKeygenItem,
  encodeKeygenItem,
  KEYGEN_KINDS,
  type KeygenItem,
  type KeygenKind,
} from '../../core/block/index.ts'
import {
  decodeKeygenContent,
  dkgSession,
  encodeKeygenContent,
  type KeygenContents,
  keygenItemKey,
  keygenKind,
  signKeygenItem,
} from '../../core/keygen/index.ts'
import {
  decodeRow,
  heightKey,
  KEYGEN_STAGE,
  type KeygenItemRow,
  type KeygenRow,
} from '../../core/ledger/index.ts'
import type { Genesis } from '../../core/params/index.ts'
import {
  complain,
  concatBytes,
  type DkgPackage,
  type DkgPackages,
  equalBytes,
  schnorrPublicKey,
  toHex,
} from '../../crypto/index.ts'
import type { MemberKeys, SessionSecret } from '../../governance/tree.ts'
import type { NodeMessage } from '../../proto/index.ts'
import { Chance } from './chance.ts'
import type { KeygenLieKind } from './coverage.ts'
import type { World } from './world.ts'

/** As often as it stands here. Whoever says nothing is waited for, for 150 blocks or 600: that is rare. */
const WEIGHTS: Readonly<Record<KeygenLieKind | 'truth', number>> = {
  truth: 3,
  sharesWrong: 6,
  commitmentsWrong: 6,
  commitmentsCancel: 6,
  complaintFalse: 6,
  complaintInvented: 5,
  keygenGarbage: 4,
  packageWithheld: 1,
  sharesWithheld: 1,
  confirmationWithheld: 1,
}

const LIES = Object.entries(WEIGHTS).flatMap(([lie, weight]) =>
  Array.from({ length: weight }, () => lie as KeygenLieKind | 'truth'),
)

const WITHHELD: Readonly<Partial<Record<KeygenLieKind, KeygenKind>>> = {
  packageWithheld: 'package',
  sharesWithheld: 'shares',
  confirmationWithheld: 'confirmation',
}

/** What breaks the session when a block has it, so that whoever said it holds no share of its key. */
const DEADLY: ReadonlySet<string> = new Set([
  'sharesWrong',
  'commitmentsWrong',
  'commitmentsCancel',
  'complaintFalse',
  'complaintInvented',
])

export class KeygenLiar {
  readonly #world: World
  readonly #genesis: Genesis
  readonly #signer: number
  readonly #secret: Uint8Array
  readonly #chance: Chance
  /** The package of a session that it told instead of its own, by hex session id. */
  readonly #told = new Map<string, DkgPackage>()
  readonly #kept = new Map<string, SessionSecret>()
  /** Lies that it told, one for each session and kind, so that all nodes are told the same. */
  readonly #said = new Map<string, Uint8Array>()
  /** Sessions that it spoiled. */
  readonly spoiled = new Set<string>()
  /** As nodes proved them. */
  readonly #rows = new Map<string, KeygenRow>()
  readonly #items = new Map<string, KeygenItemRow>()

  constructor(world: World, member: number, genesis: Genesis, { schnorrSecret }: MemberKeys) {
    this.#world = world
    this.#genesis = genesis
    this.#signer = member + 1
    this.#secret = schnorrSecret
    this.#chance = world.chance(`keygen lies ${member}`)
  }

  hear({ body }: NodeMessage): void {
    if (body.kind !== 'ledgerProof') return
    for (const { key, present, row, set } of body.rows) {
      if (!present) continue
      if (set === 'keygen') this.#rows.set(toHex(key), decodeRow('keygen', row) as KeygenRow)
      if (set === 'keygenItems') {
        this.#items.set(toHex(key), decodeRow('keygenItems', row) as KeygenItemRow)
      }
    }
  }

  /** What it finds in its store is what it told. */
  kept(session: SessionSecret | undefined): SessionSecret | undefined {
    if (session === undefined) return undefined
    const name = toHex(session.sessionId)
    this.#kept.set(name, session)
    const told = this.#told.get(name)
    return told === undefined ? session : { ...session, told }
  }

  /** In place of a part; undefined: nothing. */
  say(bytes: Uint8Array): Uint8Array | undefined {
    const decoded = decodeKeygenItem(bytes)
    const kind = decoded.ok ? keygenKind(decoded.value) : undefined
    if (!decoded.ok || kind === undefined || kind === 'call') return bytes
    const item = decoded.value
    const lie = this.#lieOf(item.sessionId)
    if (lie === 'truth') return bytes
    const name = `${toHex(item.sessionId)} ${kind}`
    const before = this.#said.get(name)
    if (before !== undefined) return before
    if (WITHHELD[lie] === kind) {
      this.#world.fault(lie)
      return undefined
    }
    if (lie === 'keygenGarbage') return this.#garbage(item, bytes)
    const bent = this.#bend(lie, kind, item)
    // It waits until all others have spoken.
    if (bent === 'waits') return undefined
    const said = bent === undefined ? bytes : encodeKeygenItem(bent)
    this.#said.set(name, said)
    if (bent === undefined) return bytes
    this.#world.fault(lie)
    this.#world.log(`member${this.#signer - 1} spoils the key: ${lie}`)
    if (DEADLY.has(lie)) this.spoiled.add(toHex(item.sessionId))
    return said
  }

  #lieOf(sessionId: Uint8Array): KeygenLieKind | 'truth' {
    const chance = new Chance(this.#world.seed, `keygen lie ${this.#signer} ${toHex(sessionId)}`)
    return chance.pick(LIES) ?? 'truth'
  }

  #bend(lie: KeygenLieKind, kind: KeygenKind, item: KeygenItem): KeygenItem | 'waits' | undefined {
    switch (`${lie} ${kind}`) {
      case 'sharesWrong shares': {
        const content = decodeKeygenContent('shares', item.content)
        const ciphertexts = [...(content?.ciphertexts ?? [])]
        const victim = this.#chance.between(0, ciphertexts.length - 1)
        ciphertexts[victim] = this.#chance.bytes(32)
        return this.#signed(item, 'shares', { ciphertexts })
      }
      case 'commitmentsWrong package':
        return this.#otherPackage(item, ([constant, ...others]) => {
          const point = concatBytes(Uint8Array.of(2), schnorrPublicKey(this.#chance.bytes(32)))
          return [constant as Uint8Array, ...others.map(() => point)]
        })
      case 'commitmentsCancel package': {
        const row = this.#rows.get(toHex(heightKey(item.epoch)))
        const isLast =
          row !== undefined &&
          equalBytes(row.sessionId, item.sessionId) &&
          row.received.length === row.signers.length - 1
        if (!isLast) return 'waits'
        return this.#otherPackage(item, ([constant]) => {
          return [constant as Uint8Array, ...row.sums.slice(1).map(negated)]
        })
      }
      case 'complaintFalse confirmation':
        return this.#complaint(item)
      case 'complaintInvented confirmation': {
        const sharedPoint = concatBytes(Uint8Array.of(3), schnorrPublicKey(this.#chance.bytes(32)))
        const accused = this.#another(item)
        const proof = this.#chance.bytes(64)
        if (accused === undefined) return undefined
        return this.#signed(item, 'complaint', { accused, sharedPoint, proof })
      }
      default:
        return undefined
    }
  }

  #otherPackage(
    item: KeygenItem,
    change: (commitments: readonly Uint8Array[]) => readonly Uint8Array[],
  ): KeygenItem | undefined {
    const content = decodeKeygenContent('package', item.content)
    if (content === undefined) return undefined
    const told = { ...content, commitments: change(content.commitments) }
    this.#told.set(toHex(item.sessionId), told)
    return this.#signed(item, 'package', told)
  }

  /** It opens what it was given, rightly, and says that it is no share. */
  #complaint(item: KeygenItem): KeygenItem | undefined {
    const row = this.#rows.get(toHex(heightKey(item.epoch)))
    const kept = this.#kept.get(toHex(item.sessionId))
    const accused = this.#another(item)
    if (row === undefined || kept === undefined || accused === undefined) return undefined
    const packages = this.#packagesOf(row)
    if (!packages.has(accused)) return undefined
    const session = dkgSession(this.#genesis, row)
    const content = complain(session, kept.secret, packages, accused, this.#chance.bytes(32))
    return this.#signed(item, 'complaint', content)
  }

  #another({ epoch }: KeygenItem): number | undefined {
    const signers = this.#rows.get(toHex(heightKey(epoch)))?.signers ?? []
    return this.#chance.pick(signers.filter((signer) => signer !== this.#signer))
  }

  #packagesOf({ sessionId, signers }: KeygenRow): DkgPackages {
    const packages = new Map<number, DkgPackage>()
    for (const signer of signers) {
      const found = this.#items.get(toHex(keygenItemKey(sessionId, KEYGEN_STAGE.packages, signer)))
      const content = found && decodeKeygenContent('package', found.content)
      if (content !== undefined) packages.set(signer, content)
    }
    return packages
  }

  /** About every second time the truth, so that the session goes on. */
  #garbage(item: KeygenItem, bytes: Uint8Array): Uint8Array {
    if (this.#chance.happens(0.5)) return bytes
    this.#world.fault('keygenGarbage')
    const others: readonly KeygenItem[] = [
      { ...item, signature: this.#chance.bytes(64) },
      { ...item, content: this.#chance.bytes(this.#chance.between(0, 300)) },
      { ...item, kind: this.#chance.between(0, 9) },
      { ...item, signer: this.#chance.between(0, 9) },
      { ...item, sessionId: this.#chance.bytes(32) },
      { ...item, epoch: item.epoch + 1 },
      {
        ...item,
        kind: KEYGEN_KINDS.indexOf('shares'),
        content: encodeKeygenContent('shares', { ciphertexts: [this.#chance.bytes(32)] }),
      },
    ]
    const { signature, ...statement } = this.#chance.pick(others) ?? item
    if (this.#chance.happens(0.3)) return this.#chance.bytes(this.#chance.between(0, 100))
    if (!equalBytes(signature, item.signature)) return encodeKeygenItem({ ...statement, signature })
    return encodeKeygenItem(this.#sign(statement))
  }

  #signed<K extends KeygenKind>(
    { epoch, sessionId, signer }: KeygenItem,
    kind: K,
    content: KeygenContents[K],
  ): KeygenItem {
    const bytes = encodeKeygenContent(kind, content)
    return this.#sign({
      epoch,
      sessionId,
      kind: KEYGEN_KINDS.indexOf(kind),
      signer,
      content: bytes,
    })
  }

  #sign(statement: Omit<KeygenItem, 'signature'>): KeygenItem {
    return signKeygenItem(this.#genesis, statement, this.#secret, this.#chance.bytes(32))
  }
}

/** Of a compressed point. */
function negated(point: Uint8Array): Uint8Array {
  return Uint8Array.from(point, (byte, at) => (at === 0 ? byte ^ 1 : byte))
}
