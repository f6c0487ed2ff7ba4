-- By whom a user is known to the OpenID provider: its address and the name that it has for the user there.
ALTER TABLE user ADD COLUMN subject TEXT;

CREATE UNIQUE INDEX user_subject ON user (subject) WHERE subject IS NOT NULL;
