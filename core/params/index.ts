/**
 * Units, verdicts and the genesis file with the chain's parameters: what every other room of core speaks in.
 * Follows protocol §7 and requirements C-1, C-2, C-5.
 */
export * from './canonical-json.ts'
export * from './derived.ts'
export * from './gas-limit.ts'
export * from './genesis.ts'
export * from './units.ts'
export * from './verdict.ts'
