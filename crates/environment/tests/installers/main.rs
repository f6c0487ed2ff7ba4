//! Environments of real interpreters, created by the real installers.

#[cfg(test)]
mod encodings;
#[cfg(test)]
mod environments;
#[cfg(test)]
mod executables;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod index;
#[cfg(test)]
mod interrupted;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod pythons;
