import {
  Chaos,
  type ChaosTargets,
  nameOf,
  strikesOf,
  tolerated,
  type Victim,
} from '../../../../devnet/launcher/chaos.ts'
import { readOptions } from '../../../../devnet/launcher/options.ts'

function firstStrikes(seed: number, count: number) {
  const strikes = strikesOf(seed, 'node', 4)
  return Array.from({ length: count }, () => strikes.next().value)
}

/** Processes that are names; each comes back when the test says so. */
class Names implements ChaosTargets {
  readonly away = new Set<string>()
  most = 0
  readonly lines: string[] = []
  readonly #comeBack: (victim: Victim) => Promise<void>

  constructor(comeBack: (victim: Victim) => Promise<void> = async () => {}) {
    this.#comeBack = comeBack
  }

  async kill(victim: Victim): Promise<void> {
    this.away.add(nameOf(victim))
    this.most = Math.max(this.most, this.away.size)
  }

  start(): void {}

  async isBack(victim: Victim): Promise<void> {
    await this.#comeBack(victim)
    this.away.delete(nameOf(victim))
  }

  tell(line: string): void {
    this.lines.push(line)
  }
}

/** All the time of the test passes at once. */
const pause = async () => {}

describe('what a seed does', () => {
  it('is the same on every run, and another for another seed', () => {
    expect(firstStrikes(7, 50)).toEqual(firstStrikes(7, 50))
    expect(firstStrikes(7, 50)).not.toEqual(firstStrikes(8, 50))
  })

  it('comes to every process', () => {
    const hit = new Set(firstStrikes(7, 100).map(({ victim }) => victim.index))
    expect([...hit].sort()).toEqual([0, 1, 2, 3])
  })
})

describe('what the protocol bears', () => {
  it.each([
    [4, 4, { node: 1, member: 1 }],
    [7, 7, { node: 2, member: 2 }],
    [3, 5, { node: 0, member: 1 }],
    [1, 1, { node: 0, member: 0 }],
  ])('%i nodes, %i members', (nodes, members, away) => {
    expect(tolerated(nodes, members)).toEqual(away)
  })

  it('is asked before anything starts', () => {
    const options = ['--chaos', '1', '--nodes', '1', '--members', '1']
    expect(readOptions(options)).toMatchObject({ kind: 'fault' })
    expect(readOptions(['--chaos', 'wild'])).toMatchObject({ kind: 'fault' })
    expect(readOptions(['--chaos', '7'])).toMatchObject({ options: { chaos: 7 } })
  })
})

describe('a run', () => {
  it('ends after its kills with everything back, and never has more away than it may', async () => {
    const names = new Names()
    const chaos = new Chaos({
      seed: 3,
      nodes: 4,
      members: 4,
      targets: names,
      pause,
      kills: 2,
      mostAway: 1,
    })
    const figures = await chaos.run()
    expect(figures).toMatchObject({ seed: 3, kills: 2 })
    expect([names.away.size, names.most]).toEqual([0, 1])
    expect(names.lines.filter((line) => line.includes('killed'))).toHaveLength(2)
  })

  it('fails when a process does not come back, and kills nothing more', async () => {
    const names = new Names(async () => {
      throw new Error('it is gone')
    })
    const chaos = new Chaos({ seed: 3, nodes: 4, members: 1, pause, targets: names })
    chaos.start()
    await expect(chaos.failed).rejects.toThrow(/chaos: node-\d did not come back: it is gone/)
    const { kills } = chaos.figures()
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(chaos.figures().kills).toBe(kills)
  })
})
