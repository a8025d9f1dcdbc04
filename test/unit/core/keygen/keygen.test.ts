import {
  allSigners,
  groupKeyOf,
  KEYGEN_CALL_BLOCKS,
  KEYGEN_FIRST_STAGE_BLOCKS,
  KEYGEN_RETRY_BLOCKS,
  KEYGEN_STAGE_BLOCKS,
  keygenItemFault,
  keygenRowOf,
  selectKeygen,
  signKeygenItem,
} from '../../../../core/keygen/index.ts'
import {
  applyRows,
  genesisLedger,
  KEYGEN_FAULT,
  KEYGEN_STAGE,
  ledgerChanges,
  ledgerRoot,
} from '../../../../core/ledger/index.ts'
import {
  addCommitments,
  aggregateShares,
  commitNonces,
  concatBytes,
  groupPublicKey,
  isShareOf,
  schnorrVerify,
  signShare,
  toHex,
  verifyingShareAt,
} from '../../../../crypto/index.ts'
import { seeded, testGenesis } from '../peg/world.ts'
import { AUXILIARY, Ceremony, EPOCH, randomOf } from './ceremony.ts'

const genesis = testGenesis()
const wrongBytes = (bytes: Uint8Array) => bytes.map((byte, at) => (at === 5 ? byte ^ 1 : byte))
const culpritsOf = (ceremony: Ceremony) =>
  ceremony.row.culprits.map(({ signer, fault }) => [signer, fault])

describe('a key that the members make through blocks (protocol 5.1)', () => {
  const done = new Ceremony(genesis)
  done.toConfirmations()
  const shares = allSigners(genesis).map((signer) => done.keyShare(signer))
  done.all((signer) => done.confirmation(signer))

  it('is the federation’s from the block on in which every signer has shown its share (QD-9)', () => {
    expect(done.ledger.state.epoch).toBe(EPOCH)
    expect(done.row.stage).toBe(KEYGEN_STAGE.completed)
    expect(done.key?.signers).toEqual([1, 2, 3, 4])
    expect(done.key?.height).toBe(done.height)
  })

  it('is the same for all, and each of them holds a share of it (QD-8)', () => {
    const group = groupKeyOf(done.key as NonNullable<typeof done.key>)
    expect(groupPublicKey(group)).toEqual(done.key?.publicKey)
    for (const share of shares) expect(isShareOf(group, share)).toBe(true)
  })

  it('signs with any t shares and not with fewer (QD-8, PO-12)', () => {
    const group = groupKeyOf(done.key as NonNullable<typeof done.key>)
    const message = seeded('message')
    const sign = (signers: readonly number[]) => {
      const own = signers.map((signer) => {
        const share = shares[signer - 1] as (typeof shares)[number]
        return { share, ...commitNonces(share, randomOf(`nonce ${signer}`)) }
      })
      const list = own.map(({ commitment }) => commitment)
      const parts = own.map(({ share, nonces }) => {
        const made = signShare(group, share, nonces, list, message)
        return [share.signer, made.ok ? made.share : new Uint8Array(0)] as const
      })
      return aggregateShares(group, list, message, new Map(parts))
    }
    for (const signers of [
      [1, 2, 3],
      [1, 2, 4],
      [2, 3, 4],
    ]) {
      const signed = sign(signers)
      expect(signed.ok && schnorrVerify(groupPublicKey(group), message, signed.signature)).toBe(
        true,
      )
    }
    expect(sign([1, 2]).ok).toBe(false)
  })

  it('is made for an epoch once: nothing that was said for it can be said again', () => {
    const replay = new Ceremony(genesis)
    const told = replay.package(1)
    replay.toKey()
    expect(replay.block([told])).toBe('KeygenNotOpen')
  })

  it('is read back from stored rows with the same root (SY-9)', () => {
    const ceremony = new Ceremony(genesis)
    const rows: ReturnType<typeof ledgerChanges> = []
    const step = (say: (signer: number) => ReturnType<Ceremony['package']>) => {
      ceremony.all(say)
      rows.push(...ledgerChanges(ceremony.ledger))
    }
    step((signer) => ceremony.package(signer))
    step((signer) => ceremony.shares(signer))
    step((signer) => ceremony.confirmation(signer))
    const read = applyRows(genesisLedger(genesis), rows)
    if ('code' in read) throw new Error(read.code)
    expect(toHex(ledgerRoot(read))).toBe(toHex(ledgerRoot(ceremony.ledger)))
    expect(read.open.keys.size).toBe(1)
  })

  it('never puts a share into the ledger', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.toConfirmations()
    const secrets = allSigners(genesis).flatMap((signer) => {
      const { secret } = ceremony.secretOf(signer)
      return [ceremony.keyShare(signer).secret, secret.decryptionKey]
    })
    ceremony.all((signer) => ceremony.confirmation(signer))
    const rows = [...ceremony.ledger.sets.keygenItems.entries()].map(([, row]) =>
      toHex(row.content),
    )
    for (const secret of secrets) {
      expect(rows.some((row) => row.includes(toHex(secret)))).toBe(false)
    }
  })
})

describe('items that no block may carry (5.1, QD-10)', () => {
  const at = (prepare: (ceremony: Ceremony) => void = () => {}) => {
    const ceremony = new Ceremony(genesis)
    prepare(ceremony)
    return ceremony
  }

  it('signed by another member, or changed after they were signed', () => {
    const ceremony = at()
    const good = ceremony.package(1)
    expect(ceremony.block([{ ...good, signer: 2 }])).toBe('KeygenSignatureWrong')
    const { signature: _, ...statement } = good
    const stranger = signKeygenItem(genesis, statement, seeded('stranger'), AUXILIARY)
    expect(ceremony.block([stranger])).toBe('KeygenSignatureWrong')
    expect(ceremony.block([{ ...good, content: wrongBytes(good.content) }])).toMatch(
      /^Keygen(SignatureWrong|ContentMalformed)$/,
    )
    expect(ceremony.block([good])).toBeUndefined()
  })

  it('of another epoch, session, stage, kind or of nobody', () => {
    const ceremony = at()
    const { told } = ceremony.secretOf(1)
    const wrong = (changes: object) => ceremony.block([ceremony.item(1, 'package', told, changes)])
    expect(wrong({ epoch: 2 })).toBe('KeygenNotOpen')
    expect(wrong({ sessionId: seeded('session') })).toBe('KeygenSessionWrong')
    expect(wrong({ kind: 1 })).toBe('KeygenStageWrong')
    expect(wrong({ kind: 77 })).toBe('KeygenStageWrong')
    expect(wrong({ signer: 0 })).toBe('KeygenSignerUnknown')
    expect(wrong({ signer: 5 })).toBe('KeygenSignerUnknown')
    expect(wrong({ content: Uint8Array.of(1, 2, 3) })).toBe('KeygenContentMalformed')
  })

  it('a package whose proof is wrong, or is another signer’s (wrong proof)', () => {
    const ceremony = at()
    const { told } = ceremony.secretOf(1)
    const forged = ceremony.item(1, 'package', { ...told, proof: wrongBytes(told.proof) })
    expect(ceremony.block([forged])).toBe('KeygenPackageWrong')
    const copied = ceremony.item(2, 'package', told)
    expect(ceremony.block([copied])).toBe('KeygenPackageWrong')
    const short = ceremony.item(1, 'package', {
      ...told,
      commitments: told.commitments.slice(1),
    })
    expect(ceremony.block([short])).toBe('KeygenPackageWrong')
  })

  it('said twice in one stage, even with other content', () => {
    const ceremony = at()
    const first = ceremony.package(1)
    expect(ceremony.block([first, first])).toBe('KeygenDuplicate')
    expect(ceremony.block([first])).toBeUndefined()
    expect(ceremony.block([first])).toBe('KeygenDuplicate')
  })

  it('shares for another number of signers', () => {
    const ceremony = at((one) => one.toShares())
    const item = ceremony.item(1, 'shares', { ciphertexts: ceremony.ciphertexts(1).slice(1) })
    expect(ceremony.block([item])).toBe('KeygenSharesWrong')
  })

  it('a confirmation by another share than the member’s own', () => {
    const ceremony = at((one) => one.toConfirmations())
    const item = ceremony.confirmation(1, ceremony.keyShare(2))
    expect(ceremony.block([item])).toBe('KeygenConfirmationWrong')
  })

  it('a complaint about oneself or a stranger', () => {
    const ceremony = at((one) => one.toConfirmations())
    const { sharedPoint, proof } = { sharedPoint: new Uint8Array(33), proof: new Uint8Array(64) }
    for (const accused of [1, 0, 5]) {
      const item = ceremony.item(1, 'complaint', { accused, sharedPoint, proof })
      expect(ceremony.block([item])).toBe('KeygenAccusedWrong')
    }
  })

  it('leave the ledger as it was, and a proposer leaves them out (C-4)', () => {
    const ceremony = at()
    const waiting = [
      ceremony.item(1, 'package', ceremony.secretOf(1).told, { epoch: 2 }),
      ceremony.package(2),
      ceremony.package(2),
      ceremony.package(3),
    ]
    const taken = selectKeygen(genesis, ceremony.ledger, 1, waiting)
    expect(taken.map(({ signer }) => signer)).toEqual([2, 3])
    expect(keygenItemFault(genesis, ceremony.ledger, 1, waiting[0] as never)?.code).toBe(
      'KeygenNotOpen',
    )
    expect(ceremony.block(taken)).toBeUndefined()
  })
})

describe('culprits and restarts (5.1)', () => {
  /** The session of these signers goes through. */
  const finish = (ceremony: Ceremony) => {
    ceremony.toKey()
    return ceremony.key?.signers
  }

  it('no clock runs before t packages are in: one early member excludes nobody', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.block([ceremony.package(1), ceremony.package(2)])
    ceremony.pass(5 * KEYGEN_STAGE_BLOCKS)
    expect(ceremony.row.attempt).toBe(0)
    ceremony.block([ceremony.package(3)])
    expect(ceremony.row.deadline).toBe(ceremony.height + KEYGEN_FIRST_STAGE_BLOCKS)
  })

  it('who is late with its package has four times as long as a stage, and its share like everybody', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.block([1, 2, 3].map((signer) => ceremony.package(signer)))
    ceremony.pass(4 * KEYGEN_STAGE_BLOCKS)
    ceremony.block([ceremony.package(4)])
    ceremony.all((signer) => ceremony.shares(signer))
    // From then on all are here, and a stage is short.
    expect(ceremony.row.deadline).toBe(ceremony.height + KEYGEN_STAGE_BLOCKS)
    ceremony.all((signer) => ceremony.confirmation(signer))
    expect(ceremony.key?.signers).toEqual([1, 2, 3, 4])
  })

  it('without who was left out packages take no longer than any stage', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.block([1, 2, 4].map((signer) => ceremony.package(signer)))
    ceremony.pass(ceremony.row.deadline)
    expect(ceremony.row).toMatchObject({ attempt: 1, signers: [1, 2, 4] })
    expect(ceremony.row.deadline).toBe(ceremony.height + KEYGEN_STAGE_BLOCKS)
  })

  it('who misses the deadline for packages is named; the others make the key without it', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.block([1, 2, 4].map((signer) => ceremony.package(signer)))
    const { deadline, sessionId } = ceremony.row
    ceremony.pass(deadline - 1)
    expect(ceremony.row.attempt).toBe(0)
    ceremony.pass(deadline)
    expect(culpritsOf(ceremony)).toEqual([[3, KEYGEN_FAULT.missed]])
    expect(ceremony.row.sessionId).not.toEqual(sessionId)
    expect(finish(ceremony)).toEqual([1, 2, 4])
  })

  it('what stands in the block of the deadline is in time', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.block([1, 2, 4].map((signer) => ceremony.package(signer)))
    ceremony.pass(ceremony.row.deadline - 1)
    ceremony.block([ceremony.package(3)])
    expect(ceremony.row.stage).toBe(KEYGEN_STAGE.shares)
    expect(culpritsOf(ceremony)).toEqual([])
  })

  it('who gives no shares, or neither complains nor confirms, is named', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.toShares()
    ceremony.block([1, 2, 3].map((signer) => ceremony.shares(signer)))
    ceremony.pass(ceremony.row.deadline)
    expect(culpritsOf(ceremony)).toEqual([[4, KEYGEN_FAULT.missed]])
    const second = new Ceremony(genesis)
    second.toConfirmations()
    second.block([2, 3, 4].map((signer) => second.confirmation(signer)))
    second.pass(second.row.deadline)
    expect(culpritsOf(second)).toEqual([[1, KEYGEN_FAULT.missed]])
    expect(second.ledger.state.epoch).toBe(0)
    expect(finish(second)).toEqual([2, 3, 4])
  })

  it('a wrong ciphertext is blamed on its sender', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.toShares()
    const ciphertexts = ceremony.ciphertexts(2)
    const spoiled = [wrongBytes(ciphertexts[0] as Uint8Array), ...ciphertexts.slice(1)]
    ceremony.block([
      ...[1, 3, 4].map((signer) => ceremony.shares(signer)),
      ceremony.item(2, 'shares', { ciphertexts: spoiled }),
    ])
    ceremony.block([ceremony.complaint(1, 2)])
    expect(culpritsOf(ceremony)).toEqual([[2, KEYGEN_FAULT.wrongShare]])
    expect(finish(ceremony)).toEqual([1, 3, 4])
  })

  it('a false complaint is blamed on the complainer, with a good proof or a bad one', () => {
    const honest = new Ceremony(genesis)
    honest.toConfirmations()
    honest.block([honest.complaint(3, 4)])
    expect(culpritsOf(honest)).toEqual([[3, KEYGEN_FAULT.falseComplaint]])
    const forged = new Ceremony(genesis)
    forged.toConfirmations()
    const sharedPoint = forged.secretOf(1).told.encryptionKey
    const content = { accused: 4, sharedPoint, proof: new Uint8Array(64) }
    forged.block([forged.item(3, 'complaint', content)])
    expect(culpritsOf(forged)).toEqual([[3, KEYGEN_FAULT.falseComplaint]])
    expect(finish(forged)).toEqual([1, 2, 4])
  })

  /** Signer 4 speaks after the others were heard and before the last of them is booked; its second commitment cancels theirs. */
  const cancelled = (choose: (others: readonly (readonly Uint8Array[])[]) => Uint8Array[]) => {
    const ceremony = new Ceremony(genesis)
    const own = ceremony.secretOf(4).told
    const others = [1, 2, 3].map((signer) => ceremony.secretOf(signer).told.commitments)
    const commitments = choose([...others, own.commitments])
    const item = ceremony.item(4, 'package', { ...own, commitments })
    const honest = (signer: number) => ceremony.package(signer)
    return { ceremony, item, honest }
  }
  const sumAt = (all: readonly (readonly Uint8Array[])[], index: number) =>
    all.reduce<Uint8Array | undefined>((sum, one) => {
      const added = one[index] as Uint8Array
      return sum === undefined ? added : addCommitments([sum], [added])[0]
    }, undefined) as Uint8Array
  const negated = (point: Uint8Array) =>
    concatBytes(Uint8Array.of(point[0] === 2 ? 3 : 2), point.slice(1))

  it('who cancels what the others committed to harms no honest member, and is named by those it cannot give shares', () => {
    const { ceremony, honest, item } = cancelled((all) => {
      const [constant, , third] = all[3] as Uint8Array[]
      return [constant, negated(sumAt(all.slice(0, 3), 1)), third] as Uint8Array[]
    })
    expect(ceremony.block([honest(1), honest(2), item])).toBeUndefined()
    expect(ceremony.block([honest(3)])).toBeUndefined()
    expect(ceremony.row.stage).toBe(KEYGEN_STAGE.shares)
    const garbage = ceremony.item(4, 'shares', {
      ciphertexts: [1, 2, 3].map(() => seeded('noise')),
    })
    ceremony.block([...[1, 2, 3].map((signer) => ceremony.shares(signer)), garbage])
    const nothing = ceremony.item(4, 'confirmation', { signature: new Uint8Array(64) })
    expect(ceremony.block([nothing])).toBe('KeygenConfirmationWrong')
    expect(ceremony.block([ceremony.complaint(1, 4)])).toBeUndefined()
    expect(culpritsOf(ceremony)).toEqual([[4, KEYGEN_FAULT.wrongShare]])
    expect(finish(ceremony)).toEqual([1, 2, 3])
  })

  it('a share that somebody chose to be infinity is confirmed by nobody, and throws nothing', () => {
    const [one = new Uint8Array(33)] = new Ceremony(genesis).secretOf(1).told.commitments
    expect(verifyingShareAt([one, negated(one)], 1)).toBeUndefined()
    expect(verifyingShareAt([one, negated(one)], 2)).toHaveLength(33)
  })

  it('a culprit cannot speak in the session without it, and no item is good in another session', () => {
    const ceremony = new Ceremony(genesis)
    const old = ceremony.package(1)
    ceremony.block([1, 2, 4].map((signer) => ceremony.package(signer)))
    ceremony.pass(ceremony.row.deadline)
    expect(ceremony.block([old])).toBe('KeygenSessionWrong')
    expect(ceremony.block([ceremony.package(3)])).toBe('KeygenSignerUnknown')
  })

  it('more than n − t culprits: the old key stays, the ledger says why, all may try again later', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.toShares()
    ceremony.block([1, 2].map((signer) => ceremony.shares(signer)))
    ceremony.pass(ceremony.row.deadline)
    expect(ceremony.row.stage).toBe(KEYGEN_STAGE.failed)
    expect(culpritsOf(ceremony)).toEqual([
      [3, KEYGEN_FAULT.missed],
      [4, KEYGEN_FAULT.missed],
    ])
    expect(ceremony.ledger.state.epoch).toBe(0)
    expect(ceremony.key).toBeUndefined()
    expect(ceremony.block([ceremony.package(1)])).toBe('KeygenStageWrong')
    ceremony.pass(ceremony.height + KEYGEN_RETRY_BLOCKS)
    expect(ceremony.row.stage).toBe(KEYGEN_STAGE.packages)
    expect(ceremony.row.culprits).toHaveLength(2)
    expect(finish(ceremony)).toEqual([1, 2, 3, 4])
  })

  it('t stays what it was when a signer is left out', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.block([1, 2, 4].map((signer) => ceremony.package(signer)))
    ceremony.pass(ceremony.row.deadline)
    ceremony.toKey()
    expect(ceremony.key?.commitments).toHaveLength(genesis.memberThreshold)
  })
})

it('before anybody says anything the ledger has no row, and blocks change nothing', () => {
  const ceremony = new Ceremony(genesis)
  const before = ceremony.ledger
  ceremony.pass(10)
  expect(ceremony.ledger).toBe(before)
  expect(keygenRowOf(genesis, before, EPOCH).signers).toEqual([1, 2, 3, 4])
})

describe('the key after the first one (protocol 5.8; PO-19)', () => {
  function withKey(): Ceremony {
    const ceremony = new Ceremony(genesis)
    ceremony.toKey()
    ceremony.epoch = EPOCH + 1
    return ceremony
  }

  it('is made only when t members have called for it, by all who answer', () => {
    const ceremony = withKey()
    expect(ceremony.row).toMatchObject({ stage: KEYGEN_STAGE.calls, deadline: 0 })
    expect(ceremony.block([ceremony.package(1)])).toBe('KeygenStageWrong')
    expect(ceremony.block([ceremony.call(1), ceremony.call(2)])).toBeUndefined()
    expect(ceremony.row.stage).toBe(KEYGEN_STAGE.calls)
    expect(ceremony.block([ceremony.call(2)])).toBe('KeygenDuplicate')
    expect(ceremony.block([ceremony.call(4)])).toBeUndefined()
    expect(ceremony.row).toMatchObject({ stage: KEYGEN_STAGE.packages, received: [] })
    const old = ceremony.ledger.open.keys.size
    ceremony.toKey()
    expect(ceremony.ledger.state.epoch).toBe(EPOCH + 1)
    expect(ceremony.ledger.open.keys.size).toBe(old + 1)
    expect(ceremony.key?.signers).toEqual([1, 2, 3, 4])
  })

  it('a call is of a member, for this key and attempt, and good up to its height', () => {
    const ceremony = withKey()
    const { height } = ceremony
    expect(ceremony.block([ceremony.call(1, height)])).toBe('KeygenCallOver')
    expect(ceremony.block([ceremony.call(1, height + KEYGEN_CALL_BLOCKS + 2)])).toBe(
      'KeygenCallOver',
    )
    expect(ceremony.block([{ ...ceremony.call(1), signer: 2 }])).toBe('KeygenSignatureWrong')
    expect(ceremony.block([{ ...ceremony.call(1), epoch: EPOCH }])).toBe('KeygenNotOpen')
    expect(ceremony.block([{ ...ceremony.call(1), epoch: EPOCH + 2 }])).toBe('KeygenNotOpen')
    expect(ceremony.block([ceremony.call(1, height + 1)])).toBeUndefined()
    expect(ceremony.row.received).toEqual([1])
  })

  it('calls that stay fewer than t are void at their deadline', () => {
    const ceremony = withKey()
    ceremony.block([ceremony.call(1), ceremony.call(2)])
    const { deadline, sessionId } = ceremony.row
    expect(deadline).toBe(ceremony.height + KEYGEN_CALL_BLOCKS)
    // The blocks between change nothing.
    ceremony.height = deadline - 1
    const late = ceremony.call(3)
    ceremony.block()
    expect(ceremony.row).toMatchObject({ stage: KEYGEN_STAGE.calls, received: [], attempt: 1 })
    expect(ceremony.row.sessionId).not.toEqual(sessionId)
    expect(ceremony.block([late])).toBe('KeygenSessionWrong')
  })

  it('until it is made the old one stays, and who misses a stage is left out as before', () => {
    const ceremony = withKey()
    ceremony.block([1, 2, 3].map((signer) => ceremony.call(signer)))
    ceremony.block([1, 2, 4].map((signer) => ceremony.package(signer)))
    ceremony.pass(ceremony.row.deadline)
    expect(culpritsOf(ceremony)).toEqual([[3, KEYGEN_FAULT.missed]])
    expect(ceremony.ledger.state.epoch).toBe(EPOCH)
    ceremony.toKey()
    expect(ceremony.key?.signers).toEqual([1, 2, 4])
  })
})
