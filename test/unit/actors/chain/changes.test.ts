/** Approved changes that wait at Chain: few, of the next place only, each once (P 1.4, BF-13). */
import { standingChanges, takeChange } from '../../../../actors/chain/changes.ts'
import { MAX_WAITING_CHANGES } from '../../../../actors/chain/limits.ts'
import type { BlsKeyPair } from '../../../../crypto/index.ts'
import { joiningKeys, Town } from '../../core/chain/town.ts'
import { adding, approved, removing } from '../../core/validators/changes.ts'

const joining = joiningKeys[0] as BlsKeyPair

it('a change is taken once, whoever approved it, and leaves when another took its place', async () => {
  const town = await Town.open()
  const { genesis } = town
  const { ledger } = town.head
  const change = adding(ledger, joining)
  const taken = takeChange(genesis, ledger, new Map(), approved(genesis, change))
  if (taken.kind !== 'taken') throw new Error(taken.kind)
  const others = approved(genesis, change, [1, 2, 3])
  expect(takeChange(genesis, ledger, taken.waiting, others)).toMatchObject({ kind: 'known' })
  const gone = removing(ledger, genesis.validators[0]?.blsKey as Uint8Array)
  await town.grow({ validatorChanges: [approved(genesis, gone)] })
  expect(standingChanges(ledger, taken.waiting).size).toBe(1)
  expect(standingChanges(town.head.ledger, taken.waiting).size).toBe(0)
})

it('what breaks a rule is refused with its code, and no more than a few wait', async () => {
  const town = await Town.open()
  const { genesis } = town
  const { ledger } = town.head
  const few = approved(genesis, adding(ledger, joining), [0])
  expect(takeChange(genesis, ledger, new Map(), few)).toMatchObject({
    fault: { code: 'ApprovalQuorumMissing' },
  })
  let waiting: Parameters<typeof takeChange>[2] = new Map()
  const outcomes: string[] = []
  for (let count = 0; count <= MAX_WAITING_CHANGES; count++) {
    const change = { ...adding(ledger, joining), address: new Uint8Array(20).fill(count + 1) }
    const taken = takeChange(genesis, ledger, waiting, approved(genesis, change))
    if (taken.kind === 'taken') waiting = taken.waiting
    outcomes.push(taken.kind === 'refused' ? taken.fault.code : taken.kind)
  }
  expect(outcomes.at(-1)).toBe('ValidatorChangesFull')
  expect(new Set(outcomes.slice(0, -1))).toEqual(new Set(['taken']))
})
