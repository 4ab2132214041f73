"""Common English words by kind: what the sentences of ``speech_text`` are put together from."""


def _words(text: str, apart: str | None = None) -> list[str]:
    return [word.strip() for word in text.split(apart)]


NOUNS = _words("""
    afternoon airport animal answer apple apron arch arm army artist aunt autumn baby back bag baker ball balloon
    bank barn basket bath battle beach bear beard bed bee beer bell belt bench berry bicycle bill bird blanket
    blossom board boat body bone book border bottle bottom bowl box boy branch brick bridge brother brush bucket
    builder bush butcher butter button cabin cake calendar camera camp candle captain car carpet carrot castle cat
    cattle cave chain chair chalk change chapel cheek chicken child chimney choice church circle city class cliff
    clock cloth cloud coach coast coat coffee coin colour comb company corner cottage cotton country cousin cow
    crowd crown cup curtain cushion customer damage dance daughter day deer desert desk diamond dinner dish doctor
    dog door dream dress driver drum duck dust eagle ear earth echo edge egg elbow elephant engine evening event
    eye fabric face factory fair family farm farmer father feather fence fever field film finger fire fish flag
    flame flavour floor flour flower flute food foot forest fork fountain fox frame friend frog fruit furniture
    game garage garden gate ghost giant gift girl glass glove goat gold goose grape grass grave group guest guitar
    hair hall hammer hand harbour hat hawk head heart hedge heel helmet herb hero hill history hole holiday home
    honey hook horse hospital hotel hour house hunger husband ice idea insect iron island ivory jacket jam jar
    jewel journey juice jungle kettle key king kitchen kite knee knife knot ladder lady lake lamb lamp lane laugh
    law lawyer leaf leather leg lemon lesson letter library light lily lion lip list lizard lock loaf log luck
    lunch machine magic maid map marble market mask mast match meadow meal meat medicine melody member memory
    metal midnight milk mill mind minister mirror mistake moment money monkey month mood morning moss mother
    motor mouse mouth mud muscle music nail name napkin nation neck needle neighbour nest net newspaper night
    noise north nose note nurse nut oak ocean office oil onion orange orchard oven owner ox page paint pair palace
    palm pan paper parcel parent park parrot part party path pavement pea peach pear pebble pen pencil people
    pepper piano picture pie pig pigeon pillow pilot pin pipe pirate plan plane planet plant plate platform
    player plough pocket poem poet point police pond pony porch porridge port post pot potato powder prince prize
    problem promise pump pupil puzzle queen question rabbit radio rail rain raven razor reason recipe rhythm rice
    ring river road robe rock roof room root rope rose row ruler sack saddle sailor salad salt sand sandwich
    sauce school science scissors sea season seat secret seed servant shadow shape shed sheep sheet shelf shell
    ship shirt shoe shop shoulder shovel shower sign silver singer sister skirt sky sleeve smile smoke snail
    snake soap sock soil soldier son song sound soup south spade spider spoon spring square stable stage stair
    stamp star station statue steam step stick stomach stone stool storm story stove stranger straw stream street
    string sugar suit summer sun supper surface sweater swing sword table tail tailor tale tap taxi tea teacher
    team temple tent theatre thief thread throat throne thumb thunder ticket tide tiger timber time toad toast
    toe tomato tongue tool tooth top toy track train tray treasure tree trick trousers truck trumpet truth tub
    tunnel turkey turtle twig uncle uniform valley vase vegetable veil vessel view village vine visitor voice
    voyage wagon waiter walk wall war wasp watch water wave wax web wedding week west wheat wheel whip wife wind
    window wine wing winter witch wolf woman wonder wood wool word worker world worm wrist yard year zebra
""")
VERBS = _words("""
    accepted admired allowed asked attacked baked beat began blamed blessed borrowed bothered broke brought built
    buried burned called carried caught caused changed chased checked chose cleaned climbed closed collected
    combed completed cooked copied counted covered crossed cut damaged delivered discovered divided drank drew
    dropped emptied enjoyed entered examined explained fed felt filled finished folded followed forgave framed
    gathered greeted guarded guessed handed hated heard helped hid hit hugged ignored imagined invented invited
    joined judged kept kicked kissed knew laid learned led left lifted liked lit lost loved made managed married
    matched mended mentioned met missed mixed moved named needed noticed offered opened ordered owned painted
    passed picked placed planned played poured praised prepared pressed protected proved pulled punished put
    raised reached read refused remembered removed repaired repeated replaced rolled rubbed said saved saw scared
    searched served shared shook showed shut smelled sold solved spoiled spread stole stopped stored studied
    surprised taught tested thanked threw tied told took touched trapped trusted turned understood used visited
    wanted warmed warned watched watered weighed welcomed whispered won wore worried wrapped wrote
""")
ADJECTIVES = _words("""
    absent ancient angry bad bare big bitter blind blue bold brave brief bright broad broken brown busy calm
    careful cheap cheerful chief clean clear clever cold common cool cosy crooked cruel curious damp dangerous
    dark dead dear deep delicate dirty distant double dry dull early eastern easy empty equal fair false famous
    far fat favourite few fierce fine firm flat fond foolish foreign free fresh friendly full funny gentle glad
    golden good grand great green grey happy hard heavy helpful high hollow honest hot huge humble hungry ill
    jealous jolly kind large last late lazy light little lively lonely long loose loud lovely low lucky mad
    main marvellous mild modern narrow nasty natural near neat nervous new nice noble noisy northern odd old
    open orange ordinary own painful pale patient perfect pink plain pleasant polite poor popular precious
    pretty private proper proud pure quick quiet rapid rare raw ready real red rich ripe rough round royal rude
    sad safe secret separate serious shallow sharp shiny short shy silent silly simple single slow small smart
    smooth soft solid sore sour special square stale steep stiff strange strong stupid sudden sweet swift tall
    tame tender terrible thick thin thirsty tidy tight tiny tired tough true ugly upper useful usual vague vain
    valuable warm weak wealthy wet white whole wicked wide wild wise wonderful wooden worthy wrong yellow young
""")
ADVERBS = _words("""
    again almost already always away badly below bravely certainly clearly completely daily eagerly early easily
    enough entirely ever everywhere exactly fairly finally forever gently hardly hopefully hourly however indeed
    just kindly lately later maybe mostly nearly never nowhere often once only outside partly perhaps politely
    possibly presently proudly quickly quietly quite rather really sadly safely secretly seldom sharply shortly
    simply slowly softly sometimes somehow soon still strangely suddenly surely then therefore today together
    tomorrow tonight too truly twice usually verily very well wildly yesterday yet
""")
PLACES = _words(
    "about above across after against along among around before behind below beneath beside between beyond by for "
    "from in inside into like near of off on onto opposite out of over past through throughout towards under "
    "until up upon with within without"
)
NAMES = _words("""
    Adam Agnes Alice Amy Anna Arthur Ben Bella Bob Boris Carol Charlie Claire Daisy David Diana Edith Edward Emma
    Eve Felix Fiona Frank George Grace Harry Helen Hugo Ida Isaac Ivan Jack Jane Joan John Judy Kate Kevin Laura
    Leo Lily Lucy Mabel Mark Mary Max Mike Molly Nancy Nora Oliver Olive Oscar Pam Paula Peter Phoebe Quentin Rachel
    Ralph Robin Rosie Ruth Sam Sarah Simon Sophie Stella Thomas Toby Ursula Vera Victor Violet Walter Wendy William
    Yvonne Zoe Africa America Asia Berlin Brazil Canada Egypt England Europe France Greece India Japan London Madrid
    Moscow Norway Paris Peru Poland Rome Scotland Spain Texas Venice Vienna
""")
PRONOUNS = _words("I you he she we they it who everyone someone nobody anybody this that these those")
DETERMINERS = _words(
    "the the the a a my your his her our their this that every each some any no another one two three four five "
    "six seven eight nine ten eleven twelve twenty both several many few"
)
LINKS = _words("and but because although while if when so or since unless as though after before until where")
OPENINGS = _words(
    """
    why|how|when|where|did you say that|would you believe that|can you see that|I hope that|she said that|
    once upon a time|to be honest|for example|by the way|of course|on the other hand|at last|in fact|
    have you heard that|do you think that|could it be that|let me tell you how|there is a rumour that|
    it seems that|remember that|they say|no wonder that|first of all|suppose|imagine that|I wonder why
    """,
    "|",
)
