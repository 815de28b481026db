/** The version of the package. It cannot be read from package.json in a bundle. */
export const VERSION = '0.0.0'
