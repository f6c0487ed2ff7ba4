//! Environments of real interpreters, made by the real installers.

#[cfg(test)]
mod executables;
#[cfg(test)]
mod index;
#[cfg(test)]
mod interrupted;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod made;
