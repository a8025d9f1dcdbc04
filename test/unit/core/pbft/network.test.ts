import { Network, type NetworkOptions } from './network.ts'

function run(options: NetworkOptions, ms: number): Network {
  try {
    const network = new Network(options)
    network.runFor(ms)
    return network
  } catch (error) {
    throw new Error(`seed ${options.seed}: ${(error as Error).message}`)
  }
}

describe('a network of drivers', () => {
  it.each([1, 2, 3, 4, 7])('%i validators commit a block in every slot (BF-1)', (n) => {
    const network = run({ seed: n, n }, 20_000)
    expect(Math.min(...network.heights)).toBeGreaterThanOrEqual(18)
  })
})
