/**
 * Bitcoin as Millrace needs to understand it: transactions, headers with their proof of work and difficulty rule, the five
 * payable scripts and their addresses. Pure; every decoder is total. Hashes and txids are in internal byte order.
 * Follows BIP13, 141, 144, 173, 350 and Core's pow.cpp; protocol §4.1, §4.4, §7.
 */
export * from './address.ts'
export * from './block.ts'
export * from './difficulty.ts'
export * from './header.ts'
export * from './script.ts'
export * from './transaction.ts'
