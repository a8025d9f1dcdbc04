import { changeOutput } from '../../../core/peg/index.ts'
import { toHex } from '../../../crypto/index.ts'
import { keygenStatus } from '../../../node/views/keygen.ts'
import { reserveOf } from '../../../node/views/peg.ts'
import { Ceremony } from '../core/keygen/ceremony.ts'
import { testGenesis } from '../core/peg/world.ts'

const genesis = testGenesis()
const statusOf = ({ ledger }: Ceremony) => keygenStatus(genesis, ledger)

describe('millrace_keygenStatus (QD-12)', () => {
  it('before anybody spoke: all members are waited for, no clock runs', () => {
    const { making, ...rest } = statusOf(new Ceremony(genesis))
    expect(rest).toEqual({ height: 0, epoch: 0, keys: [] })
    expect(making).toEqual({
      epoch: 1,
      stage: 'packages',
      attempt: 0,
      members: [0, 1, 2, 3],
      waitingFor: [0, 1, 2, 3],
      culprits: [],
    })
  })

  it('who is waited for, until when, and who was left out and why', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.block([1, 2, 4].map((signer) => ceremony.package(signer)))
    expect(statusOf(ceremony).making).toMatchObject({ waitingFor: [2], deadline: 601 })
    ceremony.pass(ceremony.row.deadline)
    expect(statusOf(ceremony).making).toMatchObject({
      attempt: 1,
      members: [0, 1, 3],
      culprits: [{ member: 2, fault: 'missed', stage: 'packages', attempt: 0, height: 601 }],
    })
  })

  it('the key with those who hold a share of it', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.toKey()
    const { keys, making } = statusOf(ceremony)
    expect(making).toBeUndefined()
    expect(keys).toEqual([
      {
        epoch: 1,
        publicKey: toHex(ceremony.key?.publicKey ?? new Uint8Array(0)),
        members: [0, 1, 2, 3],
        height: 3,
        validUntil: null,
      },
    ])
  })

  it('the next key: what may be called for, who has called, and until when the old one takes deposits (5.8)', () => {
    const ceremony = new Ceremony(genesis)
    ceremony.toKey()
    expect(statusOf(ceremony).next).toEqual({ epoch: 2, attempt: 0 })
    ceremony.epoch = 2
    ceremony.block([ceremony.call(1)])
    expect(statusOf(ceremony)).toMatchObject({
      making: { epoch: 2, stage: 'calls', waitingFor: [1, 2, 3] },
      next: { epoch: 2 },
    })
    ceremony.block([2, 3].map((signer) => ceremony.call(signer)))
    expect(statusOf(ceremony).next).toBeUndefined()
    ceremony.toKey()
    expect(statusOf(ceremony).keys.map(({ validUntil }) => validUntil)).toEqual([52_560, null])
  })
})

describe('millrace_reserves', () => {
  it('names the scripts of all epochs, so that an audit of Bitcoin finds what was paid to each (4.8)', () => {
    const ceremony = new Ceremony(genesis)
    expect(reserveOf(genesis, ceremony.ledger, 1000).scripts).toEqual([
      toHex(changeOutput(genesis, 0).scriptPubKey),
    ])
    ceremony.toKey()
    const { ledger } = ceremony
    expect(reserveOf(genesis, ledger, 1000).scripts).toEqual([
      toHex(changeOutput(genesis, 0).scriptPubKey),
      toHex(changeOutput(genesis, 1, ledger.open.keys).scriptPubKey),
    ])
  })
})
